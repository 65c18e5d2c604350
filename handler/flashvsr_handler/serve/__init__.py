"""The ``flashvsr-serve`` command: TorchServe with FlashVSR on it, started, watched and stopped properly."""

from flashvsr_handler.serve.cli import main

__all__ = ["main"]

"""The `flashvsr-engine` command."""

from flashvsr_engine.cli.main import main

__all__ = ["main"]

"""The `flashvsr` command."""

from flashvsr_client.cli.main import main

__all__ = ["main"]

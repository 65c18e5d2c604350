"""What is wrong with a message."""

from __future__ import annotations


class WireError(ValueError):
    """A message or an array that the wire contract does not allow; the text has the value and the remedy."""

"""What all nodes share: how they come by an engine, and what is checked before a workflow runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from flashvsr_client import Client, LocalOptions, UsageError
from flashvsr_client.transport.local import check

from .engines import Engines
from .inputs import Input, local_options

Inputs = dict[str, dict[str, Input]]
"""What INPUT_TYPES gives: "required" and "optional" inputs by name."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """What `FlashVSRInit` gives: which engine, and nothing loaded yet."""

    inputs: Mapping[str, Any]
    server: str
    force_offload: bool


class Node:
    """What all have. ``engines`` is set by :func:`bound`."""

    FUNCTION = "run"
    CATEGORY = "FlashVSR"
    DISPLAY_NAME: ClassVar[str]
    engines: ClassVar[Engines]

    @contextmanager
    def client(self, inputs: Mapping[str, Any], server: str, *, keep: bool = True) -> Iterator[Client]:
        """Give a server's client, or that of the engine which ``inputs`` ask for, kept for the next run if ``keep``."""
        if server.strip():
            with Client(server.strip()) as client:
                yield client
            return
        options = local_options(inputs)
        check(options)
        with self.engines.lent(options, keep=keep and not options.unload_dit) as client:
            yield client


class TiledNode(Node):
    """One that has tile_size and tile_overlap."""

    @classmethod
    def VALIDATE_INPUTS(cls, tile_size: int | None, tile_overlap: int | None) -> bool | str:  # noqa: N802
        """Say before anything runs what ComfyUI's ranges do not know; None comes from another node."""
        try:
            check(LocalOptions(tile_size=tile_size or 1024, tile_overlap=tile_overlap or 8))
        except UsageError as error:
            return str(error)
        return True


def bound(node: type[Node], engines: Engines) -> type[Node]:
    """The class for ComfyUI, which makes its own instances: all of them share ``engines``."""
    return type(node.__name__, (node,), {"engines": engines, "__doc__": node.__doc__})

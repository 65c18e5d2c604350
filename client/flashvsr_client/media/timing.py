"""Where a job's time goes: seconds that each stage was at work, or waited."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Stages:
    """Seconds of the stages of one job; they work at the same time, so these do not add up to the whole.

    Each field is written by one thread.
    """

    decode: float = 0.0
    """Reading, decoding and converting the input."""
    engine: float = 0.0
    """Waiting for the next upscaled frame: the engine's time that nothing else covers, and the transport's."""
    encode: float = 0.0
    """Converting and encoding the output, and copying the other streams."""
    clock: Callable[[], float] = time.perf_counter

    def decoding(self, items: Iterable[T]) -> Generator[T, None, None]:
        """Count the time that ``items`` take to come as decoding."""
        iterator = iter(items)
        while True:
            started = self.clock()
            item = next(iterator, None)
            self.decode += self.clock() - started
            if item is None:
                return
            yield item

    def waiting(self, items: Iterable[T]) -> Iterator[T]:
        """Count the time that ``items`` take to come as the engine's."""
        iterator = iter(items)
        while True:
            started = self.clock()
            item = next(iterator, None)
            self.engine += self.clock() - started
            if item is None:
                return
            yield item

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Count the time of the block as encoding."""
        started = self.clock()
        try:
            yield
        finally:
            self.encode += self.clock() - started

    def summary(self, seconds: float, frames: int) -> str:
        """Lines for people: each stage's seconds, its share of the job's ``seconds``, and its own frames per second."""
        names = (("decode", self.decode), ("engine", self.engine), ("encode", self.encode))
        lines = [
            f"{name:<7} {spent:8.2f} s  {spent / seconds:5.0%}  {frames / spent if spent else 0:8.1f} fps alone"
            for name, spent in names
        ]
        return "\n".join([*lines, f"{'all':<7} {seconds:8.2f} s         {frames / seconds:8.1f} fps"])

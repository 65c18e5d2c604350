"""Many inputs over engines that films share: as one leaves an engine without work, the next begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from flashvsr_client.batch import Item, Outcome, outcome_of
from flashvsr_client.interrupt import Interrupt
from flashvsr_client.report import Report

_AT_ONCE: Final = 16
"""Films under way, whatever they are at. So many may be waiting on this machine's disks and network; engines are
bounded by themselves, since a film lets the next begin only when all that is left of it has engines."""


class Upscale(Protocol):
    """Makes one film."""

    def __call__(self, item: Item, *, spare: Callable[[], None]) -> Report:
        """``spare``: see :meth:`Client.upscale_file`. Raises any :class:`ClientError`."""


def run(
    batch: Iterable[Item],
    upscale: Upscale,
    *,
    resume: bool,
    present: Callable[[Path], bool],
    interrupt: Interrupt,
) -> list[Outcome]:
    """Do what :func:`batch.run` does, each film in a thread of its own; an interruption ends all that are under way.

    The outcomes are in the order of the batch.
    """
    films: list[Future[Outcome]] = []
    with interrupt.heeding() as stop, ThreadPoolExecutor(_AT_ONCE, "flashvsr-film") as pool:
        for item in batch:
            if stop.is_set():
                break
            room = Event()
            film = pool.submit(outcome_of, item, partial(upscale, spare=room.set), resume=resume, present=present)
            film.add_done_callback(lambda _, room=room: room.set())  # type: ignore[misc]
            films.append(film)
            room.wait()
    return [film.result() for film in films]

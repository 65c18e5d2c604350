"""The options of `flashvsr upscale` for long films, jobs and batches, and how Ctrl-C is taken."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from flashvsr_client.config import JobOptions, Segmentation
from flashvsr_client.errors import EXIT_INTERRUPTED
from flashvsr_client.interrupt import Interrupt

_NOTICE = b"flashvsr: ending after the running chunk, what is finished is kept; again to stop at once\n"


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that :func:`segmentation_of` and :func:`job_of` read."""
    options = [
        click.option("--resume", is_flag=True, help="Go on with the unfinished job of OUT; begin where there is none."),
        click.option("--segment-frames", type=int, help="At most in a segment; 0: never cut.  [default: 960]"),
        click.option("--segment-overlap", type=int, help="Frames over which segments fade.  [default: 4]"),
        click.option(
            "--job-dir",
            type=click.Path(path_type=Path),
            help="Where unfinished jobs are kept.  [default: hidden beside OUT]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def segmentation_of(segment_frames: int | None, segment_overlap: int | None) -> Segmentation:
    """Read the options. Raises :class:`UsageError`."""
    if segment_overlap is None:
        return Segmentation(segment_frames)
    return Segmentation(segment_frames, segment_overlap)


def job_of(resume: bool, job_dir: Path | None) -> JobOptions:
    """Read the options; the command that resumes the job is this one."""
    return JobOptions(folder=job_dir, resume=resume, command=("flashvsr", *sys.argv[1:]))


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Take Ctrl-C and SIGTERM: a job that can be resumed is asked to end, and the second time the process ends at once.

    Where no such job runs, a KeyboardInterrupt is raised. Ending at once is safe: a job's files appear whole or not.
    """
    interrupt = Interrupt()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if interrupt.asked.is_set():
            os._exit(EXIT_INTERRUPTED)
        if not interrupt.heeded:
            raise KeyboardInterrupt
        interrupt.asked.set()
        os.write(2, _NOTICE)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

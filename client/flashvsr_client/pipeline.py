"""A file to a file: as one continuous session where the film is short, in segments where it is long or shared out."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from flashvsr_client import frames
from flashvsr_client.config import Encoding, JobOptions, Limits, Segmentation
from flashvsr_client.fleet import Fleet
from flashvsr_client.flow import flowing
from flashvsr_client.interrupt import Interrupt
from flashvsr_client.job import Film, identity, resumable, run_job
from flashvsr_client.media.decode import decode
from flashvsr_client.media.encode import pixel_format, writing
from flashvsr_client.media.output import check_output
from flashvsr_client.media.parts import check_container
from flashvsr_client.media.probe import VideoInfo, probe
from flashvsr_client.progress import Progress, Silent
from flashvsr_client.replay import ReplayingStream
from flashvsr_client.report import Report
from flashvsr_client.segment_run import Work
from flashvsr_client.segments import DEFAULT_FRAMES, cut
from flashvsr_client.transport.base import StreamSpec


@dataclass(frozen=True, slots=True)
class Order:
    """How a file is to be upscaled."""

    scale: int = 4
    seed: int | None = None
    encoding: Encoding = field(default_factory=Encoding)
    limits: Limits = field(default_factory=Limits)
    segmentation: Segmentation = field(default_factory=Segmentation)
    job: JobOptions = field(default_factory=JobOptions)
    progress: Progress = field(default_factory=Silent)
    interrupt: Interrupt = field(default_factory=Interrupt)


def upscale_file(fleet: Fleet, source: Path, target: Path, order: Order) -> Report:
    """Upscale ``source`` into ``target``. Raises any :class:`ClientError`; ``target`` is then as it was."""
    info = probe(source)
    check_output(target, source, overwrite=order.encoding.overwrite)
    check_container(target, info, order.encoding)
    StreamSpec(info.width, info.height, order.scale)  # what no engine takes is told before one is asked
    unfinished = resumable(target, order.job)
    with fleet.hired() as (workers, model):
        work = Work(info, order.scale, order.seed, order.encoding, order.limits, model)
        if unfinished is None and fleet.streams and _surely_whole(info, order.segmentation, len(workers)):
            return _continuous(fleet, work, target, order)
        film = None if unfinished is not None else _film(info, order.segmentation, len(workers))
        if film is not None and fleet.streams and len(film.segments) == 1:
            return _continuous(fleet, work, target, order)
        who = identity(work, order.segmentation, fleet.engine_options)
        with order.interrupt.heeding() as stop:
            return run_job(work, target, film, who, workers, order.job, stop, order.progress)


def _surely_whole(info: VideoInfo, segmentation: Segmentation, engines: int) -> bool:
    """Whether the film is one segment however many frames it has exactly, as far as its header is to be trusted."""
    if segmentation.frames == 0:
        return True
    longest = segmentation.frames or DEFAULT_FRAMES
    return engines == 1 and info.frames is not None and info.frames <= longest


def _film(info: VideoInfo, segmentation: Segmentation, engines: int) -> Film:
    count = frames.count(info)
    return Film(count, cut(count, segmentation, engines))


def _continuous(fleet: Fleet, work: Work, target: Path, order: Order) -> Report:
    """One session from the first frame to the last: no seams, and nothing to resume."""
    began = time.monotonic()
    info, (width, height) = work.info, work.size
    with ExitStack() as stack:
        writer = stack.enter_context(writing(target, info, width, height, work.encoding))
        opened = time.monotonic()
        stream = ReplayingStream(lambda first: fleet.open(work.spec(first)), order.job.retry, order.segmentation)
        stack.callback(stream.close)
        order.progress.start(info.frames)
        count, first = 0, opened
        for frame in stack.enter_context(flowing(stream, work.spec(0), decode(info), work.limits)):
            if count == 0:
                first = time.monotonic()
            writer.write(frame.picture, frame.moment)
            order.progress.advance()
            count += 1
    return Report(
        output=target,
        frames=count,
        width=width,
        height=height,
        seconds=time.monotonic() - began,
        first_frame_seconds=first - opened,
        model=stream.info.model,
        pixel_format=pixel_format(width, height),
        audio_streams=len(info.audio_codecs) if work.encoding.audio else 0,
        notes=tuple(stream.notes),
    )

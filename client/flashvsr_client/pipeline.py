"""A file to a file: as one continuous session where the film is short, in segments where it is long or shared out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from flashvsr_client import frames
from flashvsr_client.config import Encoding, JobOptions, Limits, Reading, Segmentation
from flashvsr_client.errors import JobInterruptedError, OutputError, StreamClosedError
from flashvsr_client.fleet import Fleet
from flashvsr_client.flow import flowing
from flashvsr_client.interrupt import Interrupt, closing_on
from flashvsr_client.job import run_job
from flashvsr_client.job_start import Film, identity, resumable
from flashvsr_client.media.codecs import depth_of
from flashvsr_client.media.decode import decode
from flashvsr_client.media.encode import check_film, writing
from flashvsr_client.media.index import index_of
from flashvsr_client.media.output import check_output, has_other_streams
from flashvsr_client.media.probe import VideoInfo, probe
from flashvsr_client.media.provenance import provenance
from flashvsr_client.media.timing import Stages
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
    reading: Reading = field(default_factory=Reading)
    spare: Callable[[], None] = lambda: None
    """Called, from any thread, once or more often, when the film leaves an engine without work: the next may begin,
    where films share the fleet. It has to return at once."""


def upscale_file(fleet: Fleet, source: Path, target: Path, order: Order) -> Report:
    """Upscale ``source`` into ``target``. Raises any :class:`ClientError`; ``target`` is then as it was."""
    info = probe(source, order.reading)
    check_output(target, source, overwrite=order.encoding.overwrite)
    StreamSpec(info.width, info.height, order.scale)  # what no engine takes is told before one is asked
    if not has_other_streams(target) or info.pipe is not None:  # pictures, frames alone, pipes: no parts to join
        return _at_once(fleet, info, target, order)
    made = check_film(target, info, info.width * order.scale, info.height * order.scale, order.encoding)
    unfinished = resumable(target, order.job)
    with fleet.hired(info) as (workers, model):
        if unfinished is None and fleet.streams and _surely_whole(info, order.segmentation, len(workers)):
            return _continuous(fleet, info, target, order)
        depth, index = max(info.depth, depth_of(made.pixel_format)), index_of(info)
        work = Work(info, order.scale, order.seed, order.encoding, order.limits, model, made, depth, index)
        film = None if unfinished is not None else _film(work, order.segmentation, len(workers))
        if film is not None and fleet.streams and len(film.segments) == 1:
            return _continuous(fleet, info, target, order)
        who = identity(work, order.segmentation, fleet.engine_options)
        with order.interrupt.heeding() as stop:
            return run_job(work, target, film, who, workers, order.job, stop, order.progress, order.spare)


def _at_once(fleet: Fleet, info: VideoInfo, target: Path, order: Order) -> Report:
    if not fleet.streams:
        raise OutputError(
            f"{target} cannot be made in parts by several engines: name a video file, or one --device with --local"
        )
    return _continuous(fleet, info, target, order)


def _surely_whole(info: VideoInfo, segmentation: Segmentation, engines: int) -> bool:
    """Whether the film is one segment however many frames it has exactly, as far as its header is to be trusted."""
    if segmentation.frames == 0:
        return True
    longest = segmentation.frames or DEFAULT_FRAMES
    return engines == 1 and info.frames is not None and info.frames <= longest


def _film(work: Work, segmentation: Segmentation, engines: int) -> Film:
    count = frames.count(work.info, work.index)
    return Film(count, cut(count, segmentation, engines))


def _continuous(fleet: Fleet, info: VideoInfo, target: Path, order: Order) -> Report:
    """One session from the first frame to the last: no seams, and nothing to resume."""
    began, stages, encoding = time.monotonic(), Stages(), order.encoding
    width, height = info.width * order.scale, info.height * order.scale
    with ExitStack() as stack:
        writer = stack.enter_context(writing(target, info, width, height, encoding))
        depth = max(info.depth, writer.depth)
        spec = StreamSpec(info.width, info.height, order.scale, float(info.rate), order.seed, depth=depth)
        opened = time.monotonic()
        stream = ReplayingStream(
            lambda first: fleet.open(replace(spec, first_frame=first)), order.job.retry, order.segmentation
        )
        stack.callback(stream.close)
        stack.enter_context(_ending_on(order.interrupt.asked, stream))
        if encoding.provenance:
            writer.describe(provenance(stream.info.model, order.scale, order.seed))
        order.progress.start(info.frames)
        count, first = 0, opened
        decoded = stages.decoding(decode(info, depth=depth))
        for frame in stages.waiting(stack.enter_context(flowing(stream, spec, decoded, order.limits))):
            if count == 0:
                first = time.monotonic()
            with stages.encoding():
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
        pixel_format=writer.pixel_format,
        audio_streams=len(info.audio_codecs) if encoding.audio and has_other_streams(target) else 0,
        stages=stages,
        notes=tuple(stream.notes),
    )


@contextmanager
def _ending_on(asked: Event, stream: ReplayingStream) -> Iterator[None]:
    """End the block at once when that is asked for: the stream is closed, and the reason named."""
    try:
        with closing_on(asked, stream):
            yield
    except StreamClosedError as error:
        if asked.is_set():
            raise JobInterruptedError("interrupted; no output was written") from error
        raise

"""A chunk of a session: run once, answered as often as it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler import logs, streaming
from flashvsr_handler.errors import InvalidRequest, SessionLost, TooLarge
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.parking import Parking
from flashvsr_handler.protocols import Pictures
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.stored import Answer, End, StoredSession
from flashvsr_handler.streaming import Stopwatch
from flashvsr_handler.tracing import Trace

Part = Callable[[], Iterator[pb.StreamResponse]]
"""Makes some messages of an answer: frames are encoded when they are sent, which may be in another thread than the
engine's work."""
Parts = Iterator[Part]


class ChunkRunner:
    """Answers `frames`, `flush` and `clip` from the sessions of a store: `accepted`, `frames` ..., `done`."""

    def __init__(
        self, store: SessionStore, parking: Parking, metrics: Recorder, target_bytes: int, trace: Trace
    ) -> None:
        self._store = store
        self._parking = parking
        self._metrics = metrics
        self._target_bytes = target_bytes
        self._trace = trace
        self.warm = False
        self.device_lost = False

    def frames(self, incoming: Incoming, caller: str) -> Parts:
        """Take a chunk of frames; one that is refused leaves the session as it was."""
        request = incoming.request
        chunk_index = request.chunk_index
        with self._store.use(request.session_id, caller) as session:
            if (answer := session.repeated(chunk_index)) is not None:
                yield from self._repeat(session, answer)
                return
            if session.flushed:
                raise InvalidRequest("The stream was flushed: close the session and open another for more frames.")
            limit = session.admission.max_chunk_frames
            if request.frames.count > limit:
                raise TooLarge(f"{request.frames.count} frames in one chunk: send at most {limit}.")
            frames, watch = _checked(session, incoming), Stopwatch(decode=incoming.seconds)
            yield from self._run(session, chunk_index, frames, watch, last=False)

    def flush(self, session_id: str, caller: str, chunk_index: int) -> Parts:
        """End the stream and give the rest of it."""
        with self._store.use(session_id, caller) as session:
            if (answer := session.repeated(chunk_index)) is not None:
                yield from self._repeat(session, answer)
                return
            if session.flushed:
                raise InvalidRequest("The stream was flushed before: close the session.")
            yield from self._run(session, chunk_index, None, Stopwatch(), last=True)

    def clip(self, session_id: str, caller: str, incoming: Incoming) -> Parts:
        """Take a whole stream; nothing of it is kept."""
        with self._store.use(session_id, caller) as session:
            frames, watch = _checked(session, incoming), Stopwatch(decode=incoming.seconds)
            yield from self._run(session, 0, frames, watch, last=True, keep=False)

    def _run(
        self,
        session: StoredSession,
        chunk_index: int,
        frames: Pictures | None,
        watch: Stopwatch,
        *,
        last: bool,
        keep: bool = True,
    ) -> Parts:
        self._parking.bring_back(session)
        count = 0 if frames is None else len(frames)
        taken, first = session.engine.frames_in + count, session.engine.frames_out
        yield _just(pb.StreamResponse(accepted=pb.Accepted(queued=taken)))
        started = time.perf_counter()
        kept: list[Pictures] = []
        made = 0
        with self._or_lost(session):
            outputs = self._outputs(session, frames, watch, last)
            try:
                for output in outputs:
                    if keep:
                        kept.append(output)
                    yield partial(self._packed, session, output, first + made, watch)
                    made += len(output)
            except GeneratorExit:
                if keep:  # nobody listens: finish the chunk all the same, for a client that comes back
                    kept.extend(outputs)
                    session.flushed = last
                    session.remember(Answer(chunk_index, tuple(kept), taken, first))
                raise
            session.flushed = last
            session.remember(Answer(chunk_index, tuple(kept), taken, first))
        self._metrics.record(Metric.FRAMES_IN, count)
        self._metrics.record(Metric.FRAMES_OUT, made)
        yield partial(self._done, session, made, taken, first + made, watch, started)

    def _outputs(
        self, session: StoredSession, frames: Pictures | None, watch: Stopwatch, last: bool
    ) -> Iterator[Pictures]:
        turns, engine = self._parking.turns, session.engine
        if frames is not None:
            for output in streaming.pushed(engine, frames, session.admission.plan.chunk, watch, turns):
                self.warm = True
                yield output
        if last:
            yield from streaming.finished(engine, watch, turns)

    def _repeat(self, session: StoredSession, answer: Answer) -> Parts:
        watch, started = Stopwatch(), time.perf_counter()
        yield _just(pb.StreamResponse(accepted=pb.Accepted(queued=answer.taken)))
        number = answer.first_frame
        for output in answer.outputs:
            yield partial(self._packed, session, output, number, watch)
            number += len(output)
        yield partial(self._done, session, answer.frames, answer.taken, number, watch, started)

    def _packed(
        self, session: StoredSession, output: Pictures, first: int, watch: Stopwatch
    ) -> Iterator[pb.StreamResponse]:
        if first == 0:
            self._metrics.record(Metric.FIRST_FRAME_SECONDS, self._store.age(session))
        return streaming.packed(output, session.admission.opening, first, self._target_bytes, watch)

    def _done(
        self, session: StoredSession, frames: int, frames_in: int, frames_out: int, watch: Stopwatch, started: float
    ) -> Iterator[pb.StreamResponse]:
        """End an answer, once all before it is sent."""
        seconds = time.perf_counter() - started
        stages = {stage: getattr(watch, stage) for stage in ("decode", "engine", "encode", "send")}
        self._metrics.record(Metric.CHUNK_SECONDS, seconds)
        self._metrics.record(Metric.QUEUE_SECONDS, watch.queue)
        for stage, took in stages.items():
            self._metrics.record(Metric.STAGE_SECONDS, took, stage)
        self._trace(session.id[: logs.SHOWN], seconds, {"frames": frames, "queue": watch.queue, **stages})
        done = pb.Done(frames=frames, frames_in=frames_in, frames_out=frames_out)
        yield pb.StreamResponse(done=done, timings=watch.timings())

    @contextmanager
    def _or_lost(self, session: StoredSession) -> Iterator[None]:
        """Close the session as lost when its chunk fails: half a chunk leaves no usable state."""
        try:
            yield
        except Exception as error:
            self._store.close(session.id, End.LOST)
            self.device_lost |= "CUDA error" in str(error)  # sticky: the process's CUDA context is gone
            raise SessionLost(f"The session broke ({type(error).__name__}): open another.") from error


def _just(response: pb.StreamResponse) -> Part:
    return lambda: iter((response,))


def _checked(session: StoredSession, incoming: Incoming) -> Pictures:
    frames, opening = incoming.frames(), session.admission.opening
    height, width = frames.shape[1:3]
    if (width, height) != (opening.width, opening.height):
        raise InvalidRequest(
            f"Frames of {width}x{height} in a session of {opening.width}x{opening.height}: "
            "send frames of the size that was opened."
        )
    if frames.dtype != session.admission.sample:
        raise InvalidRequest(
            f"Frames of {frames.dtype} in a session of {session.admission.sample}: a session that was opened for "
            "RGB48LE takes RGB48LE, every other session the other formats."
        )
    return frames

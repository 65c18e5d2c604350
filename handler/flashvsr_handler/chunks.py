"""A chunk of a session: run once, answered as often as it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler import streaming
from flashvsr_handler.answers import Answers
from flashvsr_handler.errors import InvalidRequest, SessionLost, TooLarge
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.parking import Parking
from flashvsr_handler.parts import Parts
from flashvsr_handler.protocols import Made, Pictures, Source
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.stored import Answer, End, StoredSession
from flashvsr_handler.streaming import Stopwatch
from flashvsr_handler.tracing import Trace
from flashvsr_handler.underway import Underway

SourceOf = Callable[[StoredSession], Source]


def engine_itself(session: StoredSession) -> Source:
    """Take a session's frames from its stream in the engine as they are."""
    return session.engine


class ChunkRunner:
    """Answers `frames`, `flush` and `clip` from the sessions of a store: `accepted`, `frames` ..., `done`."""

    def __init__(
        self,
        store: SessionStore,
        parking: Parking,
        metrics: Recorder,
        target_bytes: int,
        trace: Trace,
        source_of: SourceOf,
    ) -> None:
        self._source_of = source_of
        self._store = store
        self._parking = parking
        self._metrics = metrics
        self._answers = Answers(store, metrics, target_bytes, trace)
        self.warm = False
        self.device_lost = False

    def frames(self, incoming: Incoming, caller: str) -> Parts:
        """Take a chunk of frames; one that is refused leaves the session as it was."""
        request = incoming.request
        chunk_index = request.chunk_index
        with self._store.use(request.session_id, caller) as session:
            if (answer := session.repeated(chunk_index)) is not None:
                yield from self._answers.again(session, answer)
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
                yield from self._answers.again(session, answer)
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
        yield self._answers.accepted(taken)
        started = time.perf_counter()
        kept: list[Made] = []
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
        yield partial(self._answers.done, session, made, taken, first + made, watch, started)

    def _outputs(self, session: StoredSession, frames: Pictures | None, watch: Stopwatch, last: bool) -> Iterator[Made]:
        turns, source = self._parking.turns, self._source_of(session)
        if frames is not None:
            for output in streaming.pushed(source, frames, session.admission.plan.chunk, watch, turns):
                self.warm = True
                yield output
        if last:
            yield from streaming.finished(source, watch, turns)

    def _packed(
        self, session: StoredSession, output: Made, first: int, watch: Stopwatch
    ) -> Iterator[pb.StreamResponse]:
        """Encode output, in the thread that sends it; what the device has not finished yet is waited for."""
        if isinstance(output, Underway):
            started = time.perf_counter()
            with self._or_lost(session), self._parking.turns.waiting():
                output.arrived()
            watch.engine += time.perf_counter() - started
        return self._answers.packed(session, output, first, watch)

    @contextmanager
    def _or_lost(self, session: StoredSession) -> Iterator[None]:
        """Close the session as lost when its chunk fails: half a chunk leaves no usable state."""
        try:
            yield
        except Exception as error:
            self._store.close(session.id, End.LOST)
            self.device_lost |= "CUDA error" in str(error)  # sticky: the process's CUDA context is gone
            raise SessionLost(f"The session broke ({type(error).__name__}): open another.") from error


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

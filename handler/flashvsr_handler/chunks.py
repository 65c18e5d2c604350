"""A chunk of a session: run once, answered as often as it is asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler import streaming
from flashvsr_handler.errors import InvalidRequest, SessionLost, TooLarge
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.protocols import Pictures
from flashvsr_handler.sessions import Answer, SessionStore, StoredSession
from flashvsr_handler.streaming import Stopwatch

Responses = Iterator[pb.StreamResponse]


class ChunkRunner:
    """Answers `frames`, `flush` and `clip` from the sessions of a store: `accepted`, `frames` ..., `done`."""

    def __init__(self, store: SessionStore, metrics: Recorder, target_bytes: int) -> None:
        self._store = store
        self._metrics = metrics
        self._target_bytes = target_bytes
        self.warm = False
        self.device_lost = False

    def frames(self, session_id: str, chunk_index: int, message: pb.Frames) -> Responses:
        """Take a chunk of frames; one that is refused leaves the session as it was."""
        with self._store.use(session_id) as session:
            if (answer := session.repeated(chunk_index)) is not None:
                yield from self._repeat(session, answer)
                return
            if session.flushed:
                raise InvalidRequest("The stream was flushed: close the session and open another for more frames.")
            limit = session.admission.max_chunk_frames
            if message.count > limit:
                raise TooLarge(f"{message.count} frames in one chunk: send at most {limit}.")
            watch = Stopwatch()
            yield from self._run(session, chunk_index, _checked(session, message, watch), watch, last=False)

    def flush(self, session_id: str, chunk_index: int) -> Responses:
        """End the stream and give the rest of it."""
        with self._store.use(session_id) as session:
            if (answer := session.repeated(chunk_index)) is not None:
                yield from self._repeat(session, answer)
                return
            if session.flushed:
                raise InvalidRequest("The stream was flushed before: close the session.")
            yield from self._run(session, chunk_index, None, Stopwatch(), last=True)

    def clip(self, session_id: str, message: pb.Frames) -> Responses:
        """Take a whole stream; nothing of it is kept."""
        with self._store.use(session_id) as session:
            watch = Stopwatch()
            yield from self._run(session, 0, _checked(session, message, watch), watch, last=True, keep=False)

    def _run(
        self,
        session: StoredSession,
        chunk_index: int,
        frames: Pictures | None,
        watch: Stopwatch,
        *,
        last: bool,
        keep: bool = True,
    ) -> Responses:
        engine = session.engine
        count = 0 if frames is None else len(frames)
        taken, first = engine.frames_in + count, engine.frames_out
        yield pb.StreamResponse(accepted=pb.Accepted(queued=taken))
        started = time.perf_counter()
        kept: list[Pictures] = []
        made = 0
        with self._or_lost(session):
            for output in self._outputs(session, frames, watch, last):
                yield from self._messages(session, output, first + made, watch)
                made += len(output)
                if keep:
                    kept.append(output)
            session.flushed = last
            session.remember(Answer(chunk_index, tuple(kept), taken, first))
        self._metrics.record(Metric.CHUNK_SECONDS, time.perf_counter() - started)
        self._metrics.record(Metric.FRAMES_IN, count)
        self._metrics.record(Metric.FRAMES_OUT, made)
        yield _done(made, taken, first + made, watch)

    def _outputs(
        self, session: StoredSession, frames: Pictures | None, watch: Stopwatch, last: bool
    ) -> Iterator[Pictures]:
        if frames is not None:
            for output in streaming.pushed(session.engine, frames, session.admission.plan.chunk, watch):
                self.warm = True
                yield output
        if last:
            yield from streaming.finished(session.engine, watch)

    def _repeat(self, session: StoredSession, answer: Answer) -> Responses:
        watch = Stopwatch()
        yield pb.StreamResponse(accepted=pb.Accepted(queued=answer.taken))
        number = answer.first_frame
        for output in answer.outputs:
            yield from self._messages(session, output, number, watch)
            number += len(output)
        yield _done(answer.frames, answer.taken, number, watch)

    def _messages(self, session: StoredSession, output: Pictures, first: int, watch: Stopwatch) -> Responses:
        for message in streaming.packed(output, session.admission.opening, first, self._target_bytes, watch):
            yield pb.StreamResponse(frames=message)

    @contextmanager
    def _or_lost(self, session: StoredSession) -> Iterator[None]:
        """Close the session as lost unless its chunk ends well: half a chunk leaves no usable state."""
        try:
            yield
        except Exception as error:
            self._store.close(session.id, lost=True)
            self.device_lost = "CUDA error" in str(error)  # sticky: the process's CUDA context is gone
            raise SessionLost(f"The session broke ({type(error).__name__}): open another.") from error
        except GeneratorExit:
            self._store.close(session.id, lost=True)
            raise


def _checked(session: StoredSession, message: pb.Frames, watch: Stopwatch) -> Pictures:
    opening = session.admission.opening
    if (message.width, message.height) != (opening.width, opening.height):
        raise InvalidRequest(
            f"Frames of {message.width}x{message.height} in a session of {opening.width}x{opening.height}: "
            "send frames of the size that was opened."
        )
    frames = streaming.decoded(message, watch)
    if frames.dtype != session.admission.sample:
        raise InvalidRequest(
            f"Frames of {frames.dtype} in a session of {session.admission.sample}: a session that was opened for "
            "RGB48LE takes RGB48LE, every other session the other formats."
        )
    return frames


def _done(frames: int, frames_in: int, frames_out: int, watch: Stopwatch) -> pb.StreamResponse:
    done = pb.Done(frames=frames, frames_in=frames_in, frames_out=frames_out)
    return pb.StreamResponse(done=done, timings=watch.timings())

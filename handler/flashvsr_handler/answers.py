"""The messages of a chunk's answer: `accepted`, `frames` ..., `done`, and what is counted as they leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler import logs, streaming
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.parts import Part, Parts, just
from flashvsr_handler.protocols import Made
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.stored import Answer, StoredSession
from flashvsr_handler.streaming import Stopwatch
from flashvsr_handler.tracing import Trace
from flashvsr_handler.underway import Underway


class Answers:
    """Writes answers; nothing here runs the engine."""

    def __init__(self, store: SessionStore, metrics: Recorder, target_bytes: int, trace: Trace) -> None:
        self._store = store
        self._metrics = metrics
        self._target_bytes = target_bytes
        self._trace = trace

    def accepted(self, taken: int) -> Part:
        """Begin an answer; ``taken``: frames in, of the stream, this chunk's included."""
        return just(pb.StreamResponse(accepted=pb.Accepted(queued=taken)))

    def packed(self, session: StoredSession, output: Made, first: int, watch: Stopwatch) -> Iterator[pb.StreamResponse]:
        """Encode output, whose first frame has that number in its stream, once it has arrived."""
        frames = output.arrived() if isinstance(output, Underway) else output
        if first == 0:
            self._metrics.record(Metric.FIRST_FRAME_SECONDS, self._store.age(session))
        for message in streaming.packed(frames, session.admission.opening, first, self._target_bytes, watch):
            yield message
            self._store.heard(session)  # who reads slowly is not silent

    def again(self, session: StoredSession, answer: Answer) -> Parts:
        """Give an answer once more."""
        watch, started = Stopwatch(), time.perf_counter()
        yield self.accepted(answer.taken)
        number = answer.first_frame
        for output in answer.outputs:
            yield partial(self.packed, session, output, number, watch)
            number += len(output)
        yield partial(self.done, session, answer.frames, answer.taken, number, watch, started)

    def done(
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

"""A small server that answers as TorchServe and our handler do, faults included."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from flashvsr_client.chunks import Frame
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionResponse, PredictionsRequest
from flashvsr_proto.torchserve.stub import MANY_ANSWERS, ONE_ANSWER, SERVICE
from flashvsr_proto.v1 import stream_pb2 as pb

Fault = Callable[[grpc.ServicerContext], "pb.Error | pb.Frames | None"]
FIRST, CHUNK = 5, 2


class FakeServe:
    """Repeats pixels, three frames late. A fault strikes one attempt at a chunk, before it or midway."""

    def __init__(self, models: tuple[str, ...] = ("flashvsr0",)) -> None:
        self.models = models
        self.direct_port = 0
        self.loads = dict.fromkeys(models, 0)
        self.before: dict[tuple[int, int], Fault] = {}  # (chunk index, attempt) -> fault
        self.midway: dict[tuple[int, int], Fault] = {}
        self.knows_places = True
        self.busy: set[str] = set()
        self.attempts: Counter[int] = Counter()
        self.opened_on: list[str] = []
        self.gone = ""
        self.closed = 0
        self.unaccepted = 0
        self.most_unaccepted = 0
        self._frames: list[Frame] = []
        self._sent = 0
        self._answers: dict[int, list[Frame]] = {}
        self._scale = 2
        self._format: pb.PixelFormat = pb.PIXEL_FORMAT_RGB24
        self._worker = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0)

    def _handlers(self) -> grpc.GenericRpcHandler[PredictionsRequest, PredictionResponse]:
        kinds = {
            "Predictions": grpc.unary_unary_rpc_method_handler(
                self._control, PredictionsRequest.FromString, PredictionResponse.SerializeToString
            ),
            "StreamPredictions": grpc.unary_stream_rpc_method_handler(
                self._chunk, PredictionsRequest.FromString, PredictionResponse.SerializeToString
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, kinds)

    def _control(self, call: PredictionsRequest, context: grpc.ServicerContext) -> PredictionResponse:
        request = wire.parse(pb.StreamRequest, call.input[ONE_ANSWER])
        response = pb.StreamResponse(session_id=request.session_id)
        if self.gone:
            context.abort(grpc.StatusCode.INTERNAL, self.gone)
        match request.WhichOneof("body"):
            case "ping":
                response.pong.CopyFrom(pb.Pong(models=self.models, sessions=self.loads[call.model_name]))
            case "open" if call.model_name in self.busy:
                response.error.CopyFrom(pb.Error(code=pb.ERROR_CODE_BUSY, message="full", retryable=True))
            case "open":
                self.opened_on.append(call.model_name)
                self._scale = request.open.scale
                self._format = request.open.output_format
                response.session_id = "s1"
                response.opened.CopyFrom(
                    pb.Opened(
                        output_width=request.open.width * self._scale,
                        output_height=request.open.height * self._scale,
                        first_chunk=FIRST,
                        chunk=CHUNK,
                        max_chunk_frames=4,
                        model="fake",
                        direct_port=self.direct_port,
                        first_frame=request.open.first_frame if self.knows_places else 0,
                    )
                )
            case "close":
                self.closed += 1
                response.closed.SetInParent()
        return _packed(response)

    def _chunk(self, call: PredictionsRequest, context: grpc.ServicerContext) -> Iterator[PredictionResponse]:
        request = wire.parse(pb.StreamRequest, call.input[MANY_ANSWERS])
        index = request.chunk_index
        self.unaccepted += 1
        self.most_unaccepted = max(self.most_unaccepted, self.unaccepted)
        with self._worker:
            self.unaccepted -= 1
            self.attempts[index] += 1
            yield _packed(pb.StreamResponse(accepted=pb.Accepted()))
            if (answer := self._strike(self.before, index, context)) is not None:
                yield answer
                return
            if index not in (len(self._answers), len(self._answers) - 1):
                yield _packed(pb.StreamResponse(error=pb.Error(code=pb.ERROR_CODE_OUT_OF_ORDER, message="order")))
                return
            frames = self._answer(request)
            for position, frame in enumerate(frames):
                if position == 1 and (answer := self._strike(self.midway, index, context)) is not None:
                    yield answer
                    return
                yield _packed(pb.StreamResponse(frames=wire.encode(frame[None], self._format)))
            yield _packed(pb.StreamResponse(done=pb.Done(frames=len(frames))))

    def _strike(
        self, faults: dict[tuple[int, int], Fault], index: int, context: grpc.ServicerContext
    ) -> PredictionResponse | None:
        fault = faults.get((index, self.attempts[index]))
        answer = fault(context) if fault else None
        if isinstance(answer, pb.Frames):
            return _packed(pb.StreamResponse(frames=answer))
        return None if answer is None else _packed(pb.StreamResponse(error=answer))

    def _answer(self, request: pb.StreamRequest) -> list[Frame]:
        if request.chunk_index not in self._answers:
            if request.WhichOneof("body") == "frames":
                self._frames.extend(wire.decode(request.frames))
                ready = len(self._frames) - 3
            else:
                ready = len(self._frames)
            fresh = self._frames[self._sent : max(ready, self._sent)]
            self._sent += len(fresh)
            self._answers[request.chunk_index] = [
                frame.repeat(self._scale, axis=0).repeat(self._scale, axis=1) for frame in fresh
            ]
        return self._answers[request.chunk_index]


def _packed(response: pb.StreamResponse) -> PredictionResponse:
    return PredictionResponse(prediction=response.SerializeToString())

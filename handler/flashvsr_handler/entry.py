"""The handler that TorchServe loads: the only file that knows TorchServe. One class, as its loader demands."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from flashvsr_engine.errors import EngineError
from flashvsr_proto.torchserve.stub import MANY_ANSWERS, ONE_ANSWER
from flashvsr_proto.v1 import stream_pb2 as pb
from ts.handler_utils.utils import send_intermediate_predict_response  # type: ignore[import-untyped]
from ts.metrics.metric_type_enum import MetricTypes  # type: ignore[import-untyped]

from flashvsr_handler import logs, model
from flashvsr_handler.direct import DirectPlane
from flashvsr_handler.housekeeping import EXIT_DEVICE_LOST, Housekeeper, Ward
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.metrics import Sample
from flashvsr_handler.pipeline import overlapped
from flashvsr_handler.reports import Reports
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings, SettingsError
from flashvsr_handler.tracing import tracer

HTTP_BODY: Final = "body"
"""Where TorchServe puts the body of an HTTP request."""
HTTP_HEADER: Final = "host"
"""What every request by HTTP has and none by gRPC."""
AHEAD: Final = 2
"""Pieces of a chunk that may wait to be encoded and sent."""

logger = logging.getLogger(__name__)


class FlashVSRHandler:
    """One engine and its sessions in one worker process."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._reports = Reports(None, "")
        self._housekeeper = Housekeeper()

    def initialize(self, context: Any) -> None:
        """Load the model as the ``handler`` section of model-config.yaml and the environment say."""
        self._housekeeper.start()
        section = (context.model_yaml_config or {}).get("handler") or {}
        settings = Settings.read(section, os.environ)
        logs.set_up(settings.log_format, settings.worker_log_level)
        self._reports = Reports.under(settings.report_dir, context.model_name)
        with self._reports.working():
            try:
                loaded = model.load(settings, context.system_properties.get("gpu_id"))
                service = Service(
                    loaded.engine,
                    loaded.device,
                    loaded.budget_bytes,
                    settings,
                    park_bytes=loaded.park_bytes,
                    trace=tracer(os.environ),
                    source_of=loaded.source_of,
                )
                plane = DirectPlane(service, settings) if settings.direct_port >= 0 else None
                service.direct_port = plane.port if plane is not None else 0
            except Exception as error:
                self._reports.failed(_reason(error))  # whatever it is: TorchServe would try it again for hours
                raise
        self._service = service
        self._housekeeper.look_after(
            Ward(service, plane, settings, self._reports, loaded.gauge, lambda samples: _publish(context, samples))
        )
        logger.info("Loaded %s on %s", loaded.engine.name, loaded.device)

    def handle(self, data: list[Mapping[str, object]], context: Any) -> list[bytes]:
        """Answer one request (batchSize is 1): all messages but the last leave early, the last is returned."""
        by_http = any(name.lower() == HTTP_HEADER for name in context.get_all_request_header(0))
        with self._reports.working():
            last = self._answer(data[0], context, by_http=by_http)
        if not by_http:  # by gRPC the worker dies without it; by HTTP an answer of one message would never be sent
            context.set_response_header(0, "ts_stream_next", "false")
        return [last.SerializeToString()]

    def _answer(self, inputs: Mapping[str, object], context: Any, *, by_http: bool) -> pb.StreamResponse:
        assert self._service is not None
        if context.get_sequence_id(0) is not None:
            return _refusal("StreamPredictions2 is not served: use Predictions or StreamPredictions.")
        key = next((key for key in (MANY_ANSWERS, ONE_ANSWER, HTTP_BODY) if key in inputs), None)
        if key is None:
            return _refusal(f"The request has no input {ONE_ANSWER!r}: put one serialised StreamRequest there.")
        data = inputs[key]
        if not isinstance(data, bytes | bytearray):  # TorchServe reads JSON and text of HTTP by itself
            return _refusal("The body was taken for text or JSON: send it as application/octet-stream.")
        many = key == MANY_ANSWERS and not by_http
        incoming = Incoming.read(bytes(data))
        parts = self._service.parts(incoming, many=many, request_id=str(context.get_request_id(0)))
        last: pb.StreamResponse | None = None
        for part in overlapped(parts, AHEAD) if many else parts:
            for response in part():
                if last is not None:
                    message = last.SerializeToString()
                    send_intermediate_predict_response([message], context.request_ids, "", 200, context)
                last = response
        if self._service.device_lost:
            os._exit(EXIT_DEVICE_LOST)
        assert last is not None
        return last


def _reason(error: Exception) -> str:
    """Say in one line why the model cannot be loaded; an error that was not written for operators says its kind."""
    text = " ".join(str(error).split())
    return text if isinstance(error, EngineError | OSError | SettingsError) else f"{type(error).__name__}: {text}"


def _publish(context: Any, samples: list[Sample]) -> None:
    """Say samples to TorchServe, which reads them from the worker's log."""
    for sample in samples:
        metric = context.metrics.get_metric(sample.metric.title, MetricTypes(sample.metric.kind.value))
        metric.add_or_update(sample.value, [context.model_name, "Model", *filter(None, [sample.label])])


def _refusal(message: str) -> pb.StreamResponse:
    return pb.StreamResponse(error=pb.Error(code=pb.ERROR_CODE_INVALID_REQUEST, message=message))

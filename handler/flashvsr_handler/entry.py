"""The handler that TorchServe loads: the only file that knows TorchServe. One class, as its loader demands."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from flashvsr_engine.errors import EngineError
from flashvsr_proto.torchserve.stub import MANY_ANSWERS, ONE_ANSWER
from flashvsr_proto.v1 import stream_pb2 as pb
from ts.handler_utils.utils import send_intermediate_predict_response  # type: ignore[import-untyped]
from ts.metrics.metric_type_enum import MetricTypes  # type: ignore[import-untyped]

from flashvsr_handler import model
from flashvsr_handler.reports import Reports
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings

HOUSEKEEPING_S: Final = 1.0
EXIT_DEVICE_LOST: Final = 70
"""The worker leaves; TorchServe starts another, with a clean CUDA context."""
HTTP_BODY: Final = "body"
"""Where TorchServe puts the body of an HTTP request."""

logger = logging.getLogger(__name__)


class FlashVSRHandler:
    """One engine and its sessions in one worker process."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._reports = Reports(None, "")

    def initialize(self, context: Any) -> None:
        """Load the model as the ``handler`` section of model-config.yaml and the environment say."""
        self._start_housekeeping()
        section = (context.model_yaml_config or {}).get("handler") or {}
        settings = Settings.read(section, os.environ)
        self._reports = Reports.under(settings.report_dir, context.model_name)
        with self._reports.working():
            try:
                loaded = model.load(settings, context.system_properties.get("gpu_id"))
            except (EngineError, OSError) as error:
                self._reports.failed(str(error))
                raise
        self._service = Service(loaded.engine, loaded.device, loaded.budget_bytes, settings)
        logger.info("Loaded %s on %s", loaded.engine.name, loaded.device)

    def handle(self, data: list[Mapping[str, bytes | bytearray]], context: Any) -> list[bytes]:
        """Answer one request (batchSize is 1): all messages but the last leave early, the last is returned."""
        with self._reports.working():
            last = self._answer(data[0], context)
        context.set_response_header(0, "ts_stream_next", "false")  # without it the worker dies
        return [last.SerializeToString()]

    def _answer(self, inputs: Mapping[str, bytes | bytearray], context: Any) -> pb.StreamResponse:
        assert self._service is not None
        if context.get_sequence_id(0) is not None:
            return _refusal("StreamPredictions2 is not served: use Predictions or StreamPredictions.")
        key = next((key for key in (MANY_ANSWERS, ONE_ANSWER, HTTP_BODY) if key in inputs), None)
        if key is None:
            return _refusal(f"The request has no input {ONE_ANSWER!r}: put one serialised StreamRequest there.")
        answer = self._service.handle(bytes(inputs[key]), many=key == MANY_ANSWERS)
        last = next(answer)
        for response in answer:
            message = last.SerializeToString()
            send_intermediate_predict_response([message], context.request_ids, "", 200, context)
            last = response
        self._publish(context)
        if self._service.device_lost:
            os._exit(EXIT_DEVICE_LOST)
        return last

    def _publish(self, context: Any) -> None:
        assert self._service is not None
        for sample in self._service.metrics.drain():
            metric = context.metrics.get_metric(sample.metric.title, MetricTypes(sample.metric.kind.value))
            metric.add_or_update(sample.value, [context.model_name, "Model", *filter(None, [sample.label])])

    def _start_housekeeping(self) -> None:
        thread = threading.Thread(target=self._keep_house, args=(os.getppid(),), name="housekeeping", daemon=True)
        thread.start()

    def _keep_house(self, parent: int) -> None:
        """Close silent sessions; leave when TorchServe is gone, which a worker in mid-work would not notice."""
        while True:
            time.sleep(HOUSEKEEPING_S)
            if os.getppid() != parent:
                os._exit(0)
            if self._service is not None and (expired := self._service.expire()):
                logger.info("%d silent sessions expired", expired)


def _refusal(message: str) -> pb.StreamResponse:
    return pb.StreamResponse(error=pb.Error(code=pb.ERROR_CODE_INVALID_REQUEST, message=message))

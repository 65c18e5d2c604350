"""The handler that TorchServe loads: the only file that knows TorchServe. One class, as its loader demands."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flashvsr_engine.errors import EngineError
from flashvsr_proto.v1 import stream_pb2 as pb
from ts.handler_utils.utils import send_intermediate_predict_response  # type: ignore[import-untyped]
from ts.metrics.metric_type_enum import MetricTypes  # type: ignore[import-untyped]

from flashvsr_handler import model
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings, SettingsError

HOUSEKEEPING_S: Final = 1.0
EXIT_DEVICE_LOST: Final = 70
"""The worker leaves; TorchServe starts another, with a clean CUDA context."""
INPUT_KEYS: Final = ("data", "body")
"""Where the message lies: in a gRPC request's input map, or in an HTTP request."""

logger = logging.getLogger(__name__)


class FlashVSRHandler:
    """One engine and its sessions in one worker process."""

    def __init__(self) -> None:
        self._service: Service | None = None

    def initialize(self, context: Any) -> None:
        """Load the model as the ``handler`` section of model-config.yaml and the environment say."""
        self._start_housekeeping()
        section = (context.model_yaml_config or {}).get("handler") or {}
        settings = Settings.read(section, os.environ)
        try:
            loaded = model.load(settings, context.system_properties.get("gpu_id"))
        except (EngineError, SettingsError) as error:
            if settings.load_report:
                Path(settings.load_report).write_text(str(error), encoding="utf-8")
            raise
        self._service = Service(loaded.engine, loaded.device, loaded.budget_bytes, settings)
        logger.info("Loaded %s on %s", loaded.engine.name, loaded.device)

    def handle(self, data: list[Mapping[str, bytes | bytearray]], context: Any) -> list[bytes]:
        """Answer one request (batchSize is 1): all messages but the last leave early, the last is returned."""
        assert self._service is not None
        if context.get_sequence_id(0) is not None:
            return [_not_here("StreamPredictions2 is not served: use Predictions or StreamPredictions.")]
        payload = next((bytes(data[0][key]) for key in INPUT_KEYS if key in data[0]), None)
        if payload is None:
            return [_not_here(f"The request has no input {INPUT_KEYS[0]!r}: put one serialised StreamRequest there.")]
        last: pb.StreamResponse | None = None
        for response in self._service.handle(payload):
            if last is not None:
                message = last.SerializeToString()
                send_intermediate_predict_response([message], context.request_ids, "", 200, context)
            last = response
        assert last is not None
        self._publish(context)
        if self._service.device_lost:
            os._exit(EXIT_DEVICE_LOST)
        context.set_response_header(0, "ts_stream_next", "false")  # without it the worker dies
        return [last.SerializeToString()]

    def _publish(self, context: Any) -> None:
        assert self._service is not None
        for sample in self._service.metrics.drain():
            metric = context.metrics.get_metric(sample.metric.title, MetricTypes(sample.metric.kind.value))
            metric.add_or_update(sample.value, [context.model_name, "Model"])

    def _start_housekeeping(self) -> None:
        thread = threading.Thread(target=self._keep_house, args=(os.getppid(),), name="housekeeping", daemon=True)
        thread.start()

    def _keep_house(self, parent: int) -> None:
        """Close silent sessions; leave when TorchServe is gone, which a worker in mid-work would not notice."""
        while not threading.Event().wait(HOUSEKEEPING_S):
            if os.getppid() != parent:
                os._exit(0)
            if self._service is not None and (expired := self._service.expire()):
                logger.info("%d silent sessions expired", expired)


def _not_here(message: str) -> bytes:
    error = pb.Error(code=pb.ERROR_CODE_INVALID_REQUEST, message=message)
    return pb.StreamResponse(error=error).SerializeToString()

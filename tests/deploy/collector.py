"""A collector of OpenTelemetry's spans: the gRPC service that exporters send to, and the spans that came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collector:
    """Keeps what is sent to it."""

    def __init__(self) -> None:
        self.address = ""
        self._lock = threading.Lock()
        self._spans: list[tuple[str, Any]] = []

    def spans(self) -> list[tuple[str, Any]]:
        """The name of the service that sent it, and the span, for each."""
        with self._lock:
            return list(self._spans)

    def export(self, request: Any, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            for resource in request.resource_spans:
                attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [(attributes["service.name"], span) for span in scope.spans]
        return b""  # an empty answer: all was taken


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run one; needs the package opentelemetry-proto."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages

    collector = Collector()
    read = messages.ExportTraceServiceRequest.FromString
    method = grpc.unary_unary_rpc_method_handler(collector.export, request_deserializer=read)
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": method}),))
    collector.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()

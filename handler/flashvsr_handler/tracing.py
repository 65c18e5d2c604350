"""One OpenTelemetry span a chunk, where the library is installed and told where to send spans; else nothing.

``pip install './handler[otel]'`` and OTEL_EXPORTER_OTLP_ENDPOINT in the environment turn it on; the library's
other variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...) hold as its own documentation says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

Trace = Callable[[str, float, Mapping[str, float]], None]
"""Told of a chunk: the session's id, shortened, the seconds it took until now, and what else is known of it."""
logger = logging.getLogger(__name__)
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_REMEDY: Final = "pip install './handler[otel]' in the repository's folder"


def nothing(session: str, seconds: float, known: Mapping[str, float]) -> None:
    """Trace nothing."""


def tracer(environment: Mapping[str, str]) -> Trace:
    """Give what the environment asks for."""
    if not environment.get(ENDPOINT):
        return nothing
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # type: ignore[import-not-found,unused-ignore]
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace import TracerProvider  # type: ignore[import-not-found,unused-ignore]
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        logger.warning("%s is set, but nothing is traced (%s): %s", ENDPOINT, error, _REMEDY)
        return nothing
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return spans(provider)


def spans(provider: Any) -> Trace:
    """Make a span of a TracerProvider for each chunk."""
    source = provider.get_tracer("flashvsr_handler")

    def trace(session: str, seconds: float, known: Mapping[str, float]) -> None:
        end = time.time_ns()
        span = source.start_span("flashvsr.chunk", start_time=end - int(seconds * 1e9))
        span.set_attribute("flashvsr.session", session)
        for name, value in known.items():
            span.set_attribute(f"flashvsr.{name}", value)
        span.end(end)

    return trace

"""One span a chunk, where the environment asks for it and the library is there."""

from __future__ import annotations

import pytest
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_handler.tracing import nothing, spans, tracer
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.handler.fake_engine import FakeEngine
from tests.unit.handler.test_service import SIZE, pictures


def test_nothing_is_traced_unless_the_environment_says_where_to() -> None:
    assert tracer({}) is nothing


def test_a_chunk_is_a_span_with_its_stages() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter, provider = memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    service = Service(FakeEngine(), "cpu", 10**6, Settings(), trace=spans(provider))
    clip = pb.Clip(open=pb.Open(width=SIZE[0], height=SIZE[1]), frames=wire.encode(pictures(30)))
    answers = list(service.handle(pb.StreamRequest(protocol_version=1, clip=clip).SerializeToString(), many=True))
    assert answers[-1].HasField("done")
    (span,) = exporter.get_finished_spans()
    assert span.name == "flashvsr.chunk"
    assert span.end_time > span.start_time
    assert span.attributes["flashvsr.frames"] == 30
    assert {f"flashvsr.{stage}" for stage in ("queue", "decode", "engine", "encode", "send")} <= set(span.attributes)
    assert len(span.attributes["flashvsr.session"]) == 8

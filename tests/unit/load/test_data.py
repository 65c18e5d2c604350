"""What the load consists of: messages that the wire contract takes, and descriptors with everything they import."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionsRequest
from flashvsr_proto.v1 import stream_pb2 as pb
from google.protobuf import descriptor_pb2, descriptor_pool, json_format

from tests.load import data, protoset


@pytest.mark.parametrize(("name", "key", "body"), [("ping", "data", "ping"), ("open", "data", "open")])
def test_control_messages_go_to_the_unary_input(tmp_path: Path, name: str, key: str, body: str) -> None:
    data.write(tmp_path, data.Load(token="secret"))
    call = json.loads((tmp_path / f"{name}.json").read_text())
    request = wire.parse(pb.StreamRequest, b64decode(call["input"][key]))
    assert request.WhichOneof("body") == body
    assert request.token == "secret"
    assert json_format.ParseDict(call, PredictionsRequest()).model_name == "flashvsr0"


def test_the_clip_is_the_same_on_both_planes(tmp_path: Path) -> None:
    load = data.Load(width=20, height=16, scale=3, frames=5)
    data.write(tmp_path, load)
    call = json.loads((tmp_path / "clip.json").read_text())
    clip = wire.parse(pb.StreamRequest, b64decode(call["input"]["stream"])).clip
    assert wire.decode(clip.frames).shape == (5, 16, 20, 3)
    assert (clip.open.width, clip.open.height, clip.open.scale) == (20, 16, 3)
    (direct,) = json.loads((tmp_path / "direct.json").read_text())
    assert json_format.ParseDict(direct, pb.StreamRequest()).clip == clip


def test_the_protoset_resolves_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "protoset"
    protoset.write(path)
    files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:  # in order of their imports; a missing one raises
        pool.Add(file)
    service = pool.FindServiceByName("org.pytorch.serve.grpc.inference.InferenceAPIsService")
    assert service.methods_by_name["StreamPredictions"].server_streaming
    assert pool.FindServiceByName("flashvsr.v1.Upscaler")

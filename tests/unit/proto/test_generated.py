"""The committed generated code is what the sources say, and stays loadable by old protobuf runtimes."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from flashvsr_proto.torchserve import inference_pb2
from flashvsr_proto.v1 import stream_pb2
from google.protobuf import descriptor_pb2

PROTO = Path(__file__).resolve().parents[3] / "proto"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", PROTO / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_regenerated_files_equal_the_committed_ones(generator: ModuleType, tmp_path: Path) -> None:
    try:
        generator.compiler()
    except generator.GenerateError as error:
        pytest.skip(f"the pinned compiler cannot be installed on Python {sys.version_info[:2]}: {error}")
    generator.generate(tmp_path)
    assert list(generator.differences(tmp_path)) == []


def test_a_changed_file_is_noticed(generator: ModuleType, tmp_path: Path) -> None:
    for source in generator.SOURCES:
        for suffix in ("_pb2.py", "_pb2.pyi"):
            name = source.removesuffix(".proto") + suffix
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((PROTO / name).read_bytes())
    (tmp_path / "flashvsr_proto/v1/stream_pb2.py").write_text("# stale\n")
    assert list(generator.differences(tmp_path)) == ["flashvsr_proto/v1/stream_pb2.py"]


@pytest.mark.parametrize("module", [stream_pb2, inference_pb2])
def test_descriptors_equal_what_the_installed_compiler_reads(module: ModuleType, tmp_path: Path) -> None:
    """Holds without the pinned compiler: any protoc reads the same descriptor from the same source."""
    name = module.DESCRIPTOR.name
    out = tmp_path / "set"
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--descriptor_set_out={out}", name]
    subprocess.run(protoc, check=True)
    expected = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]
    expected.ClearField("source_code_info")
    found = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(found)
    for proto in (expected, found):  # json_name is filled in by one of the two only
        for message in proto.message_type:
            for field in message.field:
                field.ClearField("json_name")
            for nested in message.nested_type:
                for field in nested.field:
                    field.ClearField("json_name")
    assert found == expected


def test_generated_code_accepts_the_oldest_runtime_that_the_package_allows() -> None:
    for name in ("flashvsr_proto/v1/stream_pb2.py", "flashvsr_proto/torchserve/inference_pb2.py"):
        assert "# Protobuf Python Version: 5.27.2\n" in (PROTO / name).read_text()
    assert "protobuf>=5.27.2" in (PROTO / "pyproject.toml").read_text()

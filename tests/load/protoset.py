"""Descriptors of both services for clients without generated code: TorchServe has no gRPC reflection.

python -m tests.load.protoset flashvsr.protoset
grpcurl -plaintext -protoset flashvsr.protoset 127.0.0.1:7070 list
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2] / "proto"
SOURCES: Final = ("flashvsr_proto/torchserve/inference.proto", "flashvsr_proto/v1/stream.proto")


class ProtosetError(RuntimeError):
    """The compiler did not accept the sources; the text holds what it said."""


def write(path: Path) -> None:
    """Write a FileDescriptorSet with all imports to ``path``. Raises :class:`ProtosetError`."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}"]
    command += [f"-I{resources.files('grpc_tools') / '_proto'}", "--include_imports", f"--descriptor_set_out={path}"]
    done = subprocess.run([*command, *SOURCES], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProtosetError(f"protoc failed: {done.stderr.strip() or done.stdout.strip()}")


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    write(parser.parse_args().path)


if __name__ == "__main__":
    main()

"""Generate the committed protobuf code: ``python proto/generate.py [--check]``.

The compiler is pinned, old and apart: generated code refuses a protobuf runtime older than itself, so an old
compiler is what makes one set of files run on protobuf 5, 6 and 7. Its Python package would pull in an old protobuf
as well; it is therefore installed without dependencies into a folder of its own, which nothing else imports.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

COMPILER: Final = "grpcio-tools==1.66.2"  # carries protoc 27.2, which writes code for protobuf >= 5.27.2
ROOT: Final = Path(__file__).resolve().parent
CACHE: Final = ROOT.parent / ".cache" / COMPILER.replace("==", "-")
SOURCES: Final = ("flashvsr_proto/v1/stream.proto", "flashvsr_proto/torchserve/inference.proto")


class GenerateError(RuntimeError):
    """The compiler could not be installed or did not accept a source; the message holds what it said."""


def compiler(cache: Path = CACHE) -> Path:
    """Install the pinned compiler into ``cache`` unless it is there; return the folder to import it from."""
    if not (cache / "grpc_tools").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        _run([*pip, "--only-binary", ":all:", "--target", str(cache), COMPILER], dict(os.environ))
    return cache


def generate(out: Path, cache: Path = CACHE) -> None:
    """Write the generated modules of all sources under ``out``. Raises :class:`GenerateError`."""
    environment = dict(os.environ) | {"PYTHONPATH": str(compiler(cache))}
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", f"--python_out={out}", f"--pyi_out={out}"]
    _run([*protoc, *SOURCES], environment)
    for source in SOURCES:  # protoc leaves the type arguments of Mapping out, which mypy --strict refuses
        stub = out / (source.removesuffix(".proto") + "_pb2.pyi")
        stub.write_text(stub.read_text().replace("_Mapping]", "_Mapping[str, object]]"))


def differences(out: Path) -> Iterator[str]:
    """Names of the generated files, relative to ``proto/``, that the committed ones do not equal."""
    for source in SOURCES:
        for suffix in ("_pb2.py", "_pb2.pyi"):
            name = source.removesuffix(".proto") + suffix
            committed = ROOT / name
            if not committed.is_file() or committed.read_bytes() != (out / name).read_bytes():
                yield name


def main() -> int:
    """Write the code in place, or with ``--check`` say which committed files differ and return 1."""
    parser = argparse.ArgumentParser(description="generate the protobuf code of flashvsr_proto")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = list(differences(Path(folder)))
    for name in stale:
        sys.stderr.write(f"{name} is stale: run python proto/generate.py\n")
    return 1 if stale else 0


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GenerateError(f"{' '.join(command[:4])} ... failed: {done.stderr.strip() or done.stdout.strip()}")


if __name__ == "__main__":
    sys.exit(main())

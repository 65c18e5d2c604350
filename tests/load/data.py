"""What ghz sends, as JSON: the same calls that any client makes, with `input` in base64.

    python -m tests.load.data FOLDER --width 64 --height 48 --frames 9

writes ping.json, open.json and clip.json for TorchServe's calls, and direct.json, a clip for the direct plane, whose
messages are plain JSON all through.
"""

from __future__ import annotations

import argparse
import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import MANY_ANSWERS, ONE_ANSWER
from flashvsr_proto.v1 import stream_pb2 as pb
from google.protobuf.json_format import MessageToDict


@dataclass(frozen=True)
class Load:
    """The clip that is sent, and to whom; sizes in pixels of the input."""

    model: str = "flashvsr0"
    width: int = 64
    height: int = 48
    scale: int = 2
    frames: int = 9
    token: str = ""


def write(folder: Path, load: Load) -> None:
    """Write all files into ``folder``."""
    opening = pb.Open(width=load.width, height=load.height, scale=load.scale)
    shape = (load.frames, load.height, load.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    clip = _request(load, clip=pb.Clip(open=opening, frames=wire.encode(pictures)))
    calls: dict[str, object] = {
        "ping": _wrapped(load, ONE_ANSWER, _request(load, ping=pb.Ping())),
        "open": _wrapped(load, ONE_ANSWER, _request(load, open=opening)),
        "clip": _wrapped(load, MANY_ANSWERS, clip),
        "direct": [MessageToDict(clip, preserving_proto_field_name=True)],
    }
    for name, call in calls.items():
        (folder / f"{name}.json").write_text(json.dumps(call))


def _request(load: Load, **body: object) -> pb.StreamRequest:
    return pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, token=load.token, **body)  # type: ignore[arg-type]


def _wrapped(load: Load, key: str, message: pb.StreamRequest) -> dict[str, object]:
    return {"model_name": load.model, "input": {key: b64encode(message.SerializeToString()).decode()}}


def main() -> None:
    """Write the files for what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, default in vars(Load()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = vars(parser.parse_args())
    folder = given.pop("folder")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, Load(**given))


if __name__ == "__main__":
    main()

"""docs/protocol.md, done: a real server driven by generated stubs alone, without a line of our packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import grpc
import pytest
from flashvsr_proto.torchserve import inference_pb2 as torchserve
from flashvsr_proto.v1 import stream_pb2 as pb
from google.protobuf import json_format

from tests.e2e.serving import Server

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
GENERATE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0].replace("\\\n", " ").split()
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
(SCRIPT,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FORBIDDEN = "\nassert not [name for name in sys.modules if name.startswith('flashvsr')]\n"


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code that the page's command generates."""
    folder = tmp_path_factory.mktemp("stubs")
    command = [sys.executable, *GENERATE[1:]]
    subprocess.run([word.replace("_out=.", f"_out={folder}") for word in command], cwd=ROOT, check=True)
    return folder


def run(script: Path, server: Server) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, script.name, server.address]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, timeout=120, check=False)


def test_the_script_of_the_page_upscales(server: Server, stubs: Path) -> None:
    script = stubs / "client.py"
    script.write_text(SCRIPT + FORBIDDEN)
    done = run(script, server)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "36 frames in, 36 out\n"


def test_a_refusal_ends_the_script_with_its_code(server: Server, stubs: Path) -> None:
    script = stubs / "wrong.py"
    script.write_text(SCRIPT.replace("SCALE = 32, 24, 2", "SCALE = 32, 24, 7"))
    done = run(script, server)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR_CODE_INVALID_REQUEST: ")


def test_the_json_of_the_page_upscales_on_the_direct_plane(server: Server) -> None:
    wrapped, ping, opening, frames, flush, close = EXAMPLES
    call = json_format.ParseDict(wrapped, torchserve.PredictionsRequest())
    assert pb.StreamRequest.FromString(call.input["data"]) == json_format.ParseDict(ping, pb.StreamRequest())

    with grpc.insecure_channel(server.address) as channel:
        predictions = channel.unary_unary(
            "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions",
            request_serializer=torchserve.PredictionsRequest.SerializeToString,
            response_deserializer=torchserve.PredictionResponse.FromString,
        )
        pong = pb.StreamResponse.FromString(predictions(call, timeout=30).prediction).pong
    assert pong.models == ["flashvsr0"]

    def ask(*requests: dict[str, object]) -> list[dict[str, object]]:
        messages = [json_format.ParseDict(request, pb.StreamRequest()).SerializeToString() for request in requests]
        with grpc.insecure_channel(f"127.0.0.1:{pong.direct_port}") as channel:
            answers = channel.stream_stream("/flashvsr.v1.Upscaler/Upscale", bytes, bytes)(iter(messages), timeout=60)
            return [json_format.MessageToDict(pb.StreamResponse.FromString(answer)) for answer in answers]

    (opened,) = ask(opening)
    session = str(opened["sessionId"])
    frames["frames"]["planes"] = [b64encode(bytes(32 * 24 * 3)).decode()]
    answers = ask(*({**request, "session_id": session} for request in (frames, flush, close)))
    bodies = [next(key for key in answer if key not in ("sessionId", "chunkIndex", "timings")) for answer in answers]
    assert bodies == ["accepted", "done", "accepted", "frames", "done", "closed"]
    (picture,) = answers[3]["frames"]["planes"]  # type: ignore[index]
    assert len(b64decode(picture)) == 64 * 48 * 3

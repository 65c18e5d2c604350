from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from flashvsr_client import Client, ClientError, JobOptions, RetryPolicy, ServerBusyError, SessionLostError, errors
from flashvsr_client.cli import doctor as doctor_module
from flashvsr_client.cli import place_options
from flashvsr_client.cli import upscale as upscale_module
from flashvsr_client.cli.main import run
from flashvsr_client.progress import Plain
from flashvsr_client.testing import MockTransport

MakeClip = Callable[..., Path]


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> MockTransport:
    """The command talks to this in place of a server."""
    mock = MockTransport()
    monkeypatch.setattr(place_options, "Client", lambda server, **_: Client(transport=mock))
    return mock


def failing(monkeypatch: pytest.MonkeyPatch, error: ClientError) -> None:
    mock = MockTransport(error=error, error_after=30)
    monkeypatch.setattr(place_options, "Client", lambda server, **_: Client(transport=mock))


def test_a_job_says_what_it_did_on_stderr(
    make_clip: MakeClip, tmp_path: Path, transport: MockTransport, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = make_clip(frames=30, audio="aac"), tmp_path / "out.mp4"
    assert run(["upscale", str(source), "-o", str(target), "--scale", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "30 frames of 64x48 yuv420p, 1 audio stream copied" in captured.err
    assert "fps" in captured.err
    assert "first frame after" in captured.err
    assert target.exists()


def test_quiet_says_nothing(
    make_clip: MakeClip, tmp_path: Path, transport: MockTransport, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["upscale", str(make_clip()), "-o", str(tmp_path / "out.mp4"), "-q"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--scale", "5"], 2, "scale 5: the engine upscales by 2, 3 or 4"),
        (["--scale", "two"], 2, "'two' is not a valid integer"),
        (["--crf", "99"], 2, "crf 99: give 0"),
        (["--server", "nowhere"], 2, "server 'nowhere': give HOST:PORT"),
        (["--server", "127.0.0.1:1"], 5, "no server answers at 127.0.0.1:1: start one with `flashvsr-serve`"),
        (["--mode", "tiny"], 2, "mode: the server chooses that"),
        (["--local", "--server", "a:1"], 2, "exclude each other"),
        (["--local", "--devices", "all", "--benchmark"], 2, "--benchmark times one session"),
        (["--ray", "auto", "--benchmark"], 2, "--benchmark times one session"),
        (["--no-such"], 2, "No such option"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(
    make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str
) -> None:
    source = make_clip()
    assert run(["upscale", str(source), "-o", str(tmp_path / "out.mp4"), *arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("flashvsr: ")
    assert captured.err.count("\n") == 1
    assert text in captured.err
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


@pytest.mark.parametrize("error", [ServerBusyError("full"), SessionLostError("gone")])
def test_a_failure_in_mid_clip_has_its_own_code(
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: ClientError,
) -> None:
    monkeypatch.setattr(upscale_module, "job_of", lambda *_: JobOptions(retry=RetryPolicy(1)))
    failing(monkeypatch, error)
    assert run(["upscale", str(make_clip(frames=60)), "-o", str(tmp_path / "out.mp4")]) == error.exit_code
    assert capsys.readouterr().err == f"flashvsr: {error}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


def test_every_error_has_a_code_of_its_own_and_the_docstring_lists_it() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ClientError)]
    codes = [kind.exit_code for kind in kinds if kind.exit_code != 1]
    assert len(codes) == len(set(codes)) == len(kinds) - 2  # the root and a use after close share 1
    for kind in kinds:
        assert any(
            kind.__name__ in line and f" {kind.exit_code}" in line for line in (errors.__doc__ or "").splitlines()
        )


JOB = """
import sys, threading
from flashvsr_client import Client
from flashvsr_client.cli import place_options as module
from flashvsr_client.cli.main import main
from flashvsr_client.testing import MockTransport, _MockSession
push = _MockSession.push
def slow(self, frames):
    print("working", flush=True)
    threading.Event().wait(0.05)
    return push(self, frames)
_MockSession.push = slow
module.Client = lambda server, **_: Client(transport=MockTransport())
main(["upscale", sys.argv[1], "-o", sys.argv[2], "-q"])
"""


FULL_DISK = (
    """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
"""
    + JOB
)


def test_a_full_disk_is_one_line_and_leaves_nothing(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=150)
    command = [sys.executable, "-c", FULL_DISK, str(source), str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4, done.stderr
    assert "cannot write" in done.stderr
    assert "free some space" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_leaves_nothing_and_exits_130(make_clip: MakeClip, tmp_path: Path, number: int) -> None:
    source = make_clip(frames=900)
    command = [sys.executable, "-c", JOB, str(source), str(tmp_path / "out.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        for _ in range(3):
            assert job.stdout.readline() == "working\n"
        assert (tmp_path / "out.mp4.part").exists()
        os.kill(job.pid, number)
        _, message = job.communicate(timeout=10)
    assert job.returncode == 130
    assert message.strip() == "flashvsr: interrupted; no output was written"
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


def test_help_needs_neither_codecs_nor_grpc_nor_an_engine() -> None:
    code = (
        "import sys\n"
        "from flashvsr_client.cli.main import run\n"
        "assert run(['upscale', '--help']) == 0\n"
        "heavy = {'av', 'grpc', 'google.protobuf', 'rich', 'torch', 'flashvsr_engine'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--scale" in done.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "flashvsr, version 0.1.0\n"


def test_doctor_fails_when_no_engine_can_be_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = doctor_module.Finding(False, "engine", "not here")
    monkeypatch.setattr(doctor_module, "engine", lambda subject, client: absent)
    assert run(["doctor", "--server", "127.0.0.1:1"]) == 1
    monkeypatch.setattr(doctor_module, "engine", lambda subject, client: doctor_module.Finding(True, subject, "here"))
    assert run(["doctor", "--server", "127.0.0.1:1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok ", "missing ")) for line in lines)


def test_doctor_names_what_brings_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor_module, "version", absent)
    told = {finding.subject: finding.detail for finding in doctor_module.packages() if not finding.ok}
    assert len(told) == 10
    assert told["gradio"] == (
        "not installed here (for the page of `flashvsr ui`): pip install './client[ui]' in the repository's folder"
    )
    for detail in told.values():
        rooms = re.findall(r"\./(\w+)", detail)
        assert rooms
        assert all((Path(__file__).parents[3] / room / "pyproject.toml").exists() for room in rooms)


def test_doctor_says_what_a_server_answers() -> None:
    there = doctor_module.engine("server", Client(transport=MockTransport()))
    assert (there.ok, there.detail) == (True, "mock: mock on cpu")
    away = doctor_module.engine("server", Client("127.0.0.1:1"))
    assert not away.ok
    assert "flashvsr-serve" in away.detail


def test_plain_progress_is_a_line_every_ten_seconds() -> None:
    now = 0.0
    stream = io.StringIO()
    progress = Plain(stream, clock=lambda: now)
    progress.start(40)
    for _ in range(30):
        now += 1.0
        progress.advance()
    assert stream.getvalue().splitlines() == [
        "frame 10/40, 1.00 fps, 30 s left",
        "frame 20/40, 1.00 fps, 20 s left",
        "frame 30/40, 1.00 fps, 10 s left",
    ]

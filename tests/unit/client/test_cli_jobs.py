"""The command and its jobs: interrupted, killed, resumed, recovered; and many inputs at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from flashvsr_client import Client, InputError, JobInterruptedError, UsageError, batch
from flashvsr_client.batch import Item, Outcome
from flashvsr_client.cli import place_options
from flashvsr_client.cli.main import run
from flashvsr_client.testing import MockTransport

MakeClip = Callable[..., Path]
JOB = """
import sys
from flashvsr_client import Client
from flashvsr_client.cli import place_options as module
from flashvsr_client.cli.main import main
from flashvsr_client.testing import MockTransport
class Slow(MockTransport):
    def check(self, frames_in):
        sys.stdout.write("working\\n")
        sys.stdout.flush()
delay, sys.argv = float(sys.argv[1]), ["flashvsr", *sys.argv[2:]]
module.Client = lambda server, **_: Client(transport=[Slow(delay=delay), Slow(delay=delay)])
main(sys.argv[1:])
"""
CUT = ["--scale", "2", "--segment-frames", "30", "-q"]


def command(source: Path, target: Path, *more: str, delay: float = 0.05) -> list[str]:
    return [sys.executable, "-c", JOB, str(delay), "upscale", str(source), "-o", str(target), *CUT, *more]


def started(words: list[str], chunks: int) -> subprocess.Popen[str]:
    """Run until so many chunks have been made."""
    job = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert job.stdout is not None
    for _ in range(chunks):
        assert job.stdout.readline() == "working\n"
    return job


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def expected(make_clip: MakeClip, tmp_path: Path) -> tuple[Path, bytes]:
    """A film, and what an uninterrupted job makes of it."""
    source = make_clip(frames=300, audio="aac")
    subprocess.run(command(source, tmp_path / "whole.mp4", delay=0), check=True, stdout=subprocess.DEVNULL)
    return source, (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_says_how_to_go_on_and_does(
    expected: tuple[Path, bytes], tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source, whole = expected
    target = tmp_path / "out.mp4"
    with started(command(source, target), 40) as job:
        os.kill(job.pid, number)
        _, message = job.communicate(timeout=20)
    assert job.returncode == 130
    lines = message.strip().splitlines()
    assert lines[0].startswith("flashvsr: ending after the running chunk")
    assert "of 10 segments are kept: go on with `flashvsr upscale" in lines[1]
    assert lines[1].endswith("--resume`")
    folder = tmp_path / ".out.mp4.flashvsr"
    assert run(["jobs", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"{folder}: {source} -> {target}" in told
    assert " of 10 segments, " in told
    assert f"resume: flashvsr upscale {source} -o {target}" in told
    subprocess.run(command(source, target, "--resume", delay=0), check=True, stdout=subprocess.DEVNULL)
    assert target.read_bytes() == whole
    assert not folder.exists()


def test_the_second_interruption_ends_at_once(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    source, whole = expected
    target = tmp_path / "out.mp4"
    with started(command(source, target, delay=1.5), 6) as job:
        os.kill(job.pid, signal.SIGINT)
        assert job.stderr is not None
        assert job.stderr.readline().startswith("flashvsr: ending")
        began = time.monotonic()
        os.kill(job.pid, signal.SIGINT)
        job.wait(timeout=20)
        assert time.monotonic() - began < 1
    assert job.returncode == 130
    subprocess.run(command(source, target, "--resume", delay=0), check=True, stdout=subprocess.DEVNULL)
    assert target.read_bytes() == whole


@pytest.mark.slow
def test_a_job_that_is_killed_at_any_moment_ends_as_if_it_had_not_been(
    expected: tuple[Path, bytes], tmp_path: Path
) -> None:
    """kill -9 after a random time, again and again, until a run gets through; many times over."""
    source, whole = expected
    target = tmp_path / "out.mp4"
    dice = random.Random(5)
    kills = 0
    while kills < 8:
        job = started(command(source, target, "--resume", "-y", delay=0.005), 0)
        try:
            job.communicate(timeout=dice.uniform(0.3, 2.5))
        except subprocess.TimeoutExpired:
            job.kill()
            job.communicate()
            kills += 1
        else:
            assert job.returncode == 0
            assert target.read_bytes() == whole
    subprocess.run(command(source, target, "--resume", "-y", delay=0), check=True, stdout=subprocess.DEVNULL)
    assert target.read_bytes() == whole


def test_two_processes_never_work_on_one_job(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    source, _ = expected
    target = tmp_path / "out.mp4"
    with started(command(source, target), 12) as job:
        other = subprocess.run(command(source, target, "--resume"), capture_output=True, text=True, check=False)
        job.kill()
    assert other.returncode == 4
    assert "another process works on the job" in other.stderr


def test_what_is_finished_can_be_had_and_thrown_away(
    expected: tuple[Path, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, _ = expected
    folder, part = tmp_path / ".out.mp4.flashvsr", tmp_path / "part.mp4"
    with started(command(source, tmp_path / "out.mp4"), 40) as job:
        job.kill()
    assert run(["recover", str(folder), "-o", str(part)]) == 0
    told = capsys.readouterr().out
    count = frames_in(part)
    assert 26 <= count < 300
    assert told.startswith(f"{part}: {count} frames; missing are frames ")
    assert told.strip().endswith("to 299, counted from 0")
    assert run(["clean", str(tmp_path)]) == 0
    assert "deleted" in capsys.readouterr().out
    assert not folder.exists()
    assert run(["recover", str(folder), "-o", str(part)]) == 3
    assert run(["jobs", str(tmp_path)]) == 0
    assert capsys.readouterr().err.endswith("no unfinished jobs\n")


FULL = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))\n"


def test_a_full_disk_leaves_a_job_that_goes_on(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    """The finished file does not fit, its segments do."""
    source, _ = expected
    target = tmp_path / "out.mp4"
    words = command(source, target, "--segment-overlap", "0", delay=0)
    words[2] = FULL + words[2]
    full = subprocess.run(words, capture_output=True, text=True, check=False)
    assert full.returncode == 4
    assert "free some space, or choose another place or container; 10 of 10 segments are kept" in full.stderr
    assert not target.exists()
    resumed = command(source, target, "--segment-overlap", "0", "--resume", delay=0)
    subprocess.run(resumed, check=True, stdout=subprocess.DEVNULL)
    assert frames_in(target) == 300


def test_many_inputs(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that fails does not keep the others from being made; the code is the first failure's."""
    monkeypatch.setattr(place_options, "Client", lambda server, **_: Client(transport=MockTransport()))
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("clip10.mp4", "clip2.mp4"):
        make_clip(name).rename(videos / name)
    (videos / "clip3.mov").write_bytes(b"no video")
    (videos / "notes.txt").write_text("not taken")
    assert run(["upscale", str(videos), "-o", str(tmp_path / "out"), "--scale", "2"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"done   {tmp_path}/out/clip2.mp4",
        f"failed {videos}/clip3.mov",
        f"done   {tmp_path}/out/clip10.mp4",
    ]
    pattern = str(tmp_path / "{stem}_{scale}x.mkv")
    assert run(["upscale", str(videos / "clip2.mp4"), str(videos / "clip10.mp4"), "-o", pattern, "--scale", "2"]) == 0
    assert {"clip2_2x.mkv", "clip10_2x.mkv"} <= {path.name for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert run(["upscale", str(videos / "clip2.mp4"), "-o", pattern, "--scale", "2", "--resume"]) == 0
    assert "it was there already" in capsys.readouterr().err


def test_a_pattern_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="would both become"):
        batch.items([Path("a/x.mp4"), Path("b/x.mp4")], "out", 4)
    with pytest.raises(UsageError, match=r"a pattern may have \{stem\}, \{name\}, \{scale\} and no other"):
        batch.items([Path("x.mp4")], "{date}.mp4", 4)
    with pytest.raises(InputError, match="no videos in it"):
        batch.items([tmp_path], "out", 4)


def test_an_interruption_ends_the_batch() -> None:
    items = [Item(Path(f"in{i}"), Path(f"out{i}")) for i in range(3)]

    def upscale(item: Item) -> None:
        raise JobInterruptedError("on request")

    outcomes = batch.run(items, upscale, resume=False)  # type: ignore[arg-type]
    assert [outcome.item for outcome in outcomes] == items[:1]
    assert batch.exit_code(outcomes) == 130
    assert batch.exit_code([Outcome(items[0])]) == 0

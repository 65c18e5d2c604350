"""The main job through a real server, and the same job on an engine in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_client import Client, JobOptions, LocalOptions, RetryPolicy, ServerBusyError, SessionLostError
from flashvsr_client.cli.main import run
from flashvsr_client.errors import ServerUnreachableError
from flashvsr_client.progress import Silent

from tests.e2e.serving import WEIGHTS, Server, alive, pictures, serving, wait_until

pytestmark = pytest.mark.e2e
LOCAL = LocalOptions(weights=WEIGHTS[1], version=WEIGHTS[3], device="cpu")


def clip(path: Path, count: int, width: int = 33, height: int = 23) -> Path:
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "10"}, width=width, height=height)
        video.pix_fmt = "yuv444p"
        for picture in pictures(count, width=width, height=height):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture).reformat(format="yuv444p")))
        output.mux(video.encode(None))
    return path


def shown(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("count", [1, 2, 20, 21, 22, 100])
def test_the_server_and_the_local_engine_give_the_same_frames(server: Server, tmp_path: Path, count: int) -> None:
    source = clip(tmp_path / "in.mp4", count)
    remote, local = tmp_path / "remote.mp4", tmp_path / "local.mp4"
    # lossless: x264's decisions on equal frames are not always the same at small sizes
    command = ["upscale", str(source), "--scale", "3", "--crf", "0", "-q", "-o"]
    assert run([*command, str(remote), "--server", server.address]) == 0
    assert run([*command, str(local), "--local", "--weights", WEIGHTS[1], "--weights-version", WEIGHTS[3]]) == 0
    frames = shown(remote)
    assert frames.shape == (count, 3 * 23, 3 * 33, 3)
    np.testing.assert_array_equal(frames, shown(local))


def test_a_session_over_grpc_gives_the_engines_frames(server: Server) -> None:
    frames = list(pictures(30))
    with Client(server.address) as client, client.open_session(32, 24, fps=25, scale=2) as session:
        remote = np.stack(list(session.upscale(frames)))
    with Client.local(LOCAL) as client, client.open_session(32, 24, scale=2) as session:
        np.testing.assert_array_equal(remote, np.stack(list(session.upscale(frames))))


def test_a_full_server_is_busy_and_has_room_again(server: Server) -> None:
    with Client(server.address) as client:
        opened = [client.open_session(32, 24) for _ in range(2)]
        with pytest.raises(ServerBusyError, match=server.address):
            client.open_session(32, 24)
        for session in opened:
            session.close()
        client.open_session(32, 24).close()


ONCE = JobOptions(retry=RetryPolicy(attempts=1))


class Killing(Silent):
    """Kills processes when the first frame is done."""

    def __init__(self, *processes: psutil.Process) -> None:
        self._processes = processes

    def advance(self) -> None:
        for process in self._processes:
            if process.is_running():
                process.kill()


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with (tmp_path_factory.mktemp("mortal") / "stderr").open("w+") as errors, serving(errors, *WEIGHTS) as started:
        yield started


def test_a_job_outlives_a_worker_and_leaves_nothing_behind_when_its_server_dies(mortal: Server, tmp_path: Path) -> None:
    source, target = clip(tmp_path / "in.mp4", 120), tmp_path / "out.mp4"
    processes = [psutil.Process(mortal.process.pid), mortal.java, mortal.worker]
    with Client(mortal.address) as client:
        report = client.upscale_file(source, target, 2, progress=Killing(mortal.worker))
        assert report.frames == 120
        assert "session lost" in report.notes[0]
        assert left_in(tmp_path) == {"in.mp4", "out.mp4"}
        target.unlink()

        assert wait_until(lambda: _answers(client), 150)
        processes.append(mortal.worker)
        with pytest.raises(SessionLostError, match="went away in mid-clip"):
            client.upscale_file(source, target, 2, progress=Killing(mortal.java, mortal.worker), job=ONCE)
        assert left_in(tmp_path) == {"in.mp4"}
    assert wait_until(lambda: not alive(processes), 60)


def _answers(client: Client) -> bool:
    try:
        return client.ping()[0].sessions == 0
    except (ServerBusyError, ServerUnreachableError):
        return False

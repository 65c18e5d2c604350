"""`flashvsr ui` as a process of its own, and a headless Chromium that opens it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RUN = "import sys; from flashvsr_client.cli.main import main; main(sys.argv[1:])"


@dataclass(frozen=True)
class Ui:
    """A page that is served."""

    address: str
    temporary: Path
    """Where its temporary files are."""
    process: subprocess.Popen[str]

    @property
    def host(self) -> str:
        return self.address.split("/")[2]

    def files(self) -> list[Path]:
        """What is there of visits and uploads: nothing, once they are over."""
        try:
            return [path for path in self.temporary.glob("flashvsr-ui-*/*/*") if path.exists()]
        except FileNotFoundError as error:  # a folder went while it was read: look again
            return [Path(str(error.filename))]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def serving(temporary: Path, *options: str) -> Iterator[Ui]:
    """Start the command on a free port; it ends with the block."""
    temporary.mkdir(exist_ok=True)
    with (temporary / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "ui", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"flashvsr: ready on (\S+)\n", line)
            assert found, line + (temporary / "stderr").read_text()
            yield Ui(found[1], temporary, process)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()


def clip(path: Path, frames: int, width: int = 64, height: int = 48) -> Path:
    """Write a small film whose frames differ."""
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "10"}, width=width, height=height)
        video.pix_fmt = "yuv420p"
        for index in range(frames):
            picture = np.stack([np.full_like(rows, 40 + index % 150), rows * 4, columns * 3], axis=-1).astype(np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        output.mux(video.encode(None))
    return path


def until(true: Callable[[], bool], seconds: float = 60.0, why: Callable[[], object] = str) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it never came: {why()}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    pytest.importorskip("gradio", reason="the page needs ./client[ui]")
    api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium is installed here")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def local_ui(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The page on the built-in model in its own process."""
    with serving(tmp_path_factory.mktemp("ui"), "--device", "cpu", "--max-upload", "1MiB") as ui:
        yield ui

"""The README's examples, run: its commands against a real server, its Python as it stands but for sizes and address."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from flashvsr_client.cli.main import run

from tests.e2e.serving import Server, pictures
from tests.e2e.test_upscale import clip

pytestmark = pytest.mark.e2e
TEXT = (Path(__file__).parents[2] / "README.md").read_text()
WIDTH, HEIGHT = 32, 24


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_commands(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "input.mp4", 22, WIDTH, HEIGHT)
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    commands = [words[1:] for words in lines if words and words[0] == "flashvsr"]
    assert len(commands) >= 4
    for words in commands:
        alone = "--local" in words or words[0] == "compare"
        assert run([*words, *([] if alone else ["--server", server.address])]) == 0, words
    assert {path.name for path in tmp_path.iterdir()} == {"input.mp4", "output.mp4", "twice.mkv", "local.mp4"}


def test_the_python(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "input.mp4", 22, WIDTH, HEIGHT)
    code = "".join(blocks("python"))
    for told, here in (("localhost:7070", server.address), ("=480", f"={WIDTH}"), ("=270", f"={HEIGHT}")):
        assert told in code
        code = code.replace(told, here)
    code = code.replace("frames = [...]", "")
    names: dict[str, object] = {"frames": np.stack(list(pictures(26, width=WIDTH, height=HEIGHT)))}
    exec(code, names)
    frame, out, rest = names["frame"], names["out"], names["rest"]
    assert isinstance(frame, np.ndarray)
    assert frame.shape == (4 * HEIGHT, 4 * WIDTH, 3)
    assert isinstance(out, np.ndarray)
    assert isinstance(rest, np.ndarray)
    assert len(out) + len(rest) == 26
    assert (tmp_path / "from_python.mp4").exists()

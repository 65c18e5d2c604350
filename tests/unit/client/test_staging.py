"""Inputs and outputs with addresses, by fsspec's file systems in memory and on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from flashvsr_client import Client, InputError, JobInterruptedError, OutputError, UsageError, locations
from flashvsr_client.cli import place_options
from flashvsr_client.cli.main import run
from flashvsr_client.staging import Staging
from flashvsr_client.testing import MockTransport

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install fsspec")
MakeClip = Callable[..., Path]


@pytest.fixture
def memory() -> Iterator[dict[str, bytes]]:
    """What is at memory://, by its path."""
    system = fsspec.filesystem("memory")
    yield {}
    system.store.clear()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    monkeypatch.setattr(place_options, "Client", lambda server, **_: Client(transport=MockTransport()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *words: run(["upscale", *words, "--scale", "2"])


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def put(url: str, source: Path) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(source.read_bytes())


def test_a_film_comes_from_its_address_and_goes_to_another(
    make_clip: MakeClip, memory: object, command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_clip()
    put("memory://films/in.mp4", source)
    assert command("memory://films/in.mp4", "-o", "memory://out/film.mp4") == 0
    assert "written to memory://out/film.mp4" in capsys.readouterr().err
    assert command(str(source), "-o", str(tmp_path / "here.mp4")) == 0
    locations.fetch("memory://out/film.mp4", tmp_path / "there.mp4")
    assert (tmp_path / "there.mp4").read_bytes() == (tmp_path / "here.mp4").read_bytes()
    assert kept(tmp_path / "cache") == []
    assert fsspec.filesystem("memory").ls("/out", detail=False) == ["/out/film.mp4"]


def test_several_at_once_by_a_pattern(
    make_clip: MakeClip, memory: object, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_clip()
    for name in ("a", "b"):
        put(f"memory://films/{name}.mp4", source)
    words = ("memory://films/a.mp4", "memory://films/b.mp4", "memory://films/c.mp4")
    assert command(*words, "-o", "memory://out/{stem}_{scale}x.mkv") == 3
    assert "memory://films/c.mp4: no such file" in capsys.readouterr().err
    found = fsspec.filesystem("memory").ls("/out", detail=False)
    assert sorted(found) == ["/out/a_2x.mkv", "/out/b_2x.mkv"]
    assert command(*words[:2], "-o", "memory://out/{stem}_{scale}x.mkv", "--resume") == 0
    assert capsys.readouterr().err.count("it was there already") == 2


def test_what_is_there_is_kept(
    make_clip: MakeClip, memory: object, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(make_clip())
    put("memory://out/film.mp4", Path(source))
    assert command(source, "-o", "memory://out/film.mp4") == 4
    assert "memory://out/film.mp4 exists" in capsys.readouterr().err
    assert command(source, "-o", "memory://out/film.mp4", "-y", "-q") == 0


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("nothing://films/in.mp4", UsageError, "fsspec knows no nothing://"),
        ("memory://films/none.mp4", InputError, "no such file"),
    ],
)
def test_an_address_that_leads_nowhere(
    name: str, kind: type[Exception], text: str, memory: object, tmp_path: Path
) -> None:
    staging = Staging(tmp_path)
    with pytest.raises(kind, match=text):
        staging.bring(staging.source(name))


def test_an_output_that_cannot_be_sent_is_kept(make_clip: MakeClip, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    staging = Staging(tmp_path / "cache")
    target = Path(staging.target(f"file://{blocked}/out.mp4"))
    target.parent.mkdir(parents=True)
    make_clip().rename(target)
    with pytest.raises(OutputError, match=r"cannot be written .*; the finished film is kept as .*out\.mp4"):
        staging.send(tmp_path / "in.mp4", target)
    assert target.exists()


def test_names_lead_to_the_same_place_each_time(tmp_path: Path) -> None:
    one, two = Staging(tmp_path), Staging(tmp_path)
    assert one.source("memory://a/in.mp4") == two.source("memory://a/in.mp4") != one.source("memory://b/in.mp4")
    assert one.source("plain/in.mp4") == Path("plain/in.mp4")
    assert one.target("plain/{stem}.mp4") == "plain/{stem}.mp4"
    assert one.address_of(one.source("memory://a/in.mp4")) == "memory://a/in.mp4"
    assert one.address_of(Path("plain/in.mp4")) is None


def test_an_interruption_ends_the_fetching(memory: object, make_clip: MakeClip, tmp_path: Path) -> None:
    put("memory://films/in.mp4", make_clip())
    staging, stop = Staging(tmp_path / "cache"), Event()
    source = staging.source("memory://films/in.mp4")
    stop.set()
    with pytest.raises(JobInterruptedError, match=r"interrupted while memory://films/in\.mp4 was fetched"):
        staging.bring(source, stop)

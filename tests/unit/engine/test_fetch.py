"""Fetching from a stub of the hub. Only the contents are small: names, requests and headers are the real ones."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, TypeAlias

import pytest
from filelock import FileLock
from flashvsr_engine.cli.main import run
from flashvsr_engine.weights import load_network
from flashvsr_engine.weights.fetching import fetch as fetching
from flashvsr_engine.weights.fetching import transfer
from flashvsr_engine.weights.published import RELEASES, Release
from huggingface_hub import hf_hub_download

from tests.golden.golden_case import WEIGHTS
from tests.unit.engine.hub_stub import Stub, serving

COMMIT = RELEASES["1.1"].revision
OTHER = "f" * 40
DIT, PROJECTOR, DECODER, VAE, PROMPT = (file.name for file in RELEASES["1.1"].files)
PUBLISHED = RELEASES["1.1"].files
NAMES = {DIT, PROJECTOR, DECODER, VAE, PROMPT}


@pytest.fixture(scope="session")
def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in WEIGHTS.iterdir()}


@pytest.fixture
def stub(contents: dict[str, bytes]) -> Iterator[Stub]:
    assert COMMIT is not None
    with serving(Stub(dict(contents), COMMIT)) as stub:
        yield stub


@pytest.fixture(autouse=True)
def small_releases(contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """The published tables with the sizes and digests of our contents."""

    def small(release: Release) -> Release:
        known = release.revision is not None
        files = tuple(
            replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest()) if known or file.url else file
            for file in release.files
            for content in [contents[file.name]]
        )
        return replace(release, files=files)

    for version, release in list(RELEASES.items()):
        monkeypatch.setitem(RELEASES, version, small(release))
    monkeypatch.setattr(transfer, "time", SimpleNamespace(sleep=lambda seconds: None))


class Result(NamedTuple):
    code: int
    out: str
    err: str


Fetch: TypeAlias = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "FlashVSR-v1.1"


@pytest.fixture
def fetch(stub: Stub, folder: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    def call(*options: str, endpoint: str | None = None) -> Result:
        places = ["--dir", str(folder), "--endpoint", endpoint or stub.url, "--prompt-url", stub.prompt_url]
        code = run(["weights", "fetch", *places, *options])
        result = Result(code, *capsys.readouterr())
        if code:
            assert result.err.startswith("flashvsr-engine: ")
            assert result.err.count("\n") == 1, result.err
        check_no_halves(folder, stub)
        return result

    return call


def check_no_halves(folder: Path, stub: Stub) -> None:
    """Whatever happened: a name that a loader looks for has the whole, right file."""
    for name in NAMES:
        if (folder / name).exists():
            assert (folder / name).read_bytes() == stub.files[name], name
    if (folder / "manifest.json").exists():
        assert set(json.loads((folder / "manifest.json").read_text())["files"].values()) <= set(listing(folder))


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_everything_comes_and_loads_without_being_told_the_version(fetch: Fetch, folder: Path) -> None:
    result = fetch()
    assert result.code == 0
    assert listing(folder) == {*NAMES, "manifest.json"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["version"], manifest["name"]) == ("1.1", "FlashVSR-v1.1")
    assert manifest["source"] == f"JunhaoZhuang/FlashVSR-v1.1@{COMMIT}"
    assert manifest["sha256"] == {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in NAMES}
    network = load_network(folder)
    assert (network.version, network.version_reason) == ("1.1", "its manifest.json says so")


def test_the_stub_is_a_hub_to_huggingface_hub_itself(stub: Stub, tmp_path: Path) -> None:
    path = hf_hub_download(
        "JunhaoZhuang/FlashVSR-v1.1", DECODER, revision=COMMIT, endpoint=stub.url, local_dir=tmp_path
    )
    assert Path(path).read_bytes() == stub.files[DECODER]


def test_tiny_leaves_out_the_vae(fetch: Fetch, folder: Path) -> None:
    assert fetch("--mode", "tiny").code == 0
    assert listing(folder) == {*NAMES, "manifest.json"} - {VAE}
    assert fetch("--mode", "full").code == 0
    assert listing(folder) == {*NAMES, "manifest.json"}
    assert "vae" in json.loads((folder / "manifest.json").read_text())["files"]


def test_what_is_there_is_not_fetched_again(fetch: Fetch, stub: Stub, folder: Path) -> None:
    fetch()
    stub.requests.clear()
    assert "LQ_proj_in.ckpt: was there and right" in fetch().out
    assert not stub.requests
    (folder / PROJECTOR).unlink()
    assert fetch().code == 0
    assert [path for _, path, _ in stub.requests if path.startswith("/raw")] == [f"/raw/{PROJECTOR}"]


def test_a_damaged_file_is_replaced(fetch: Fetch, stub: Stub, folder: Path) -> None:
    fetch()
    stub.requests.clear()
    (folder / DECODER).write_bytes(b"<html>404</html>")
    assert fetch().code == 0
    assert stub.gets(DECODER) == [None]


def test_a_cut_connection_is_taken_up_in_the_same_run(fetch: Fetch, stub: Stub) -> None:
    stub.cut = {(PROJECTOR, 100_000): 1, (PROJECTOR, 2_000_000): 1, (PROMPT, 0): 1}
    assert fetch().code == 0
    assert stub.gets(PROJECTOR) == [None, "bytes=100000-", "bytes=2000000-"]
    assert stub.gets(PROMPT) == [None, None]


def test_a_connection_that_falls_silent_counts_as_cut(
    fetch: Fetch, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", 0.1)
    stub.cut, stub.stalls = {(DECODER, 50_000): 1}, True
    assert fetch().code == 0
    assert stub.gets(DECODER) == [None, "bytes=50000-"]


def test_offline_by_the_environments_wish(fetch: Fetch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch()
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    assert fetch().code == 0
    for name, words in ((PROMPT, "HF_HUB_OFFLINE forbids it"), (DIT, "No hub answers")):
        (folder / name).unlink()
        (folder / "manifest.json").unlink(missing_ok=True)
        result = fetch()
        assert result.code == 5
        assert words in result.err


def test_a_later_run_goes_on_where_the_first_was_cut(fetch: Fetch, stub: Stub, folder: Path) -> None:
    stub.cut = {(DIT, 3_000_000): 9}
    result = fetch()
    assert result.code == 5
    assert f"broke off at 3000000 of {len(stub.files[DIT])} bytes" in result.err
    assert "what has come is kept" in result.err
    assert [(folder / name).stat().st_size for name in listing(folder)] == [3_000_000]
    stub.cut = {}
    stub.requests.clear()
    assert fetch().code == 0
    assert stub.gets(DIT) == ["bytes=3000000-"]
    assert listing(folder) == {*NAMES, "manifest.json"}


def test_a_server_without_ranges_starts_over(fetch: Fetch, stub: Stub) -> None:
    stub.ranges = False
    stub.cut = {(DECODER, 50_000): 1}
    assert fetch().code == 0
    assert stub.gets(DECODER) == [None, "bytes=50000-"]


def test_a_range_that_was_not_asked_for_is_refused(fetch: Fetch, stub: Stub) -> None:
    stub.shift = 1
    stub.cut = {(DECODER, 50_000): 1}
    result = fetch()
    assert result.code == 8
    assert "answers with another range than was asked for" in result.err


@pytest.mark.parametrize("name", [PROJECTOR, PROMPT])
def test_other_content_is_refused_and_not_kept(fetch: Fetch, stub: Stub, folder: Path, name: str) -> None:
    stub.altered = {name: bytes(len(stub.files[name]))}
    result = fetch()
    assert result.code == 8
    assert f"/{name} has SHA-256 {hashlib.sha256(stub.altered[name]).hexdigest()}; expected" in result.err
    assert not [other for other in listing(folder) if other.startswith(name)]
    assert "manifest.json" not in listing(folder)
    stub.altered = {}
    assert fetch().code == 0


@pytest.mark.parametrize(
    ("length", "code", "words"), [(+7, 8, "sends more than the expected"), (-7, 8, "ends before byte")]
)
def test_other_lengths_are_refused(fetch: Fetch, stub: Stub, length: int, code: int, words: str) -> None:
    content = stub.files[DECODER]
    stub.altered = {DECODER: content + bytes(length) if length > 0 else content[:length]}
    result = fetch()
    assert result.code == code
    assert words in result.err


def test_a_part_longer_than_the_file_is_thrown_away(fetch: Fetch, stub: Stub, folder: Path) -> None:
    content = stub.files[DECODER]
    folder.mkdir(parents=True)
    part = folder / f"{DECODER}.{hashlib.sha256(content).hexdigest()[:12]}.part"
    part.write_bytes(content + b"x")
    assert fetch().code == 0
    assert stub.gets(DECODER) == [None]


@pytest.mark.parametrize(
    ("header", "value", "words"),
    [
        ("X-Linked-ETag", f'"{"0" * 64}"', f"has SHA-256 {'0' * 64}; expected"),
        ("X-Linked-Size", "17", "has size 17; expected"),
    ],
)
def test_another_file_on_the_hub_is_refused_before_anything_is_fetched(
    fetch: Fetch, stub: Stub, header: str, value: str, words: str
) -> None:
    stub.told = {DECODER: {header: value}}
    result = fetch()
    assert result.code == 8
    assert DECODER in result.err
    assert words in result.err
    assert not [path for method, path, _ in stub.requests if method == "GET"]


def test_a_full_disk(fetch: Fetch, stub: Stub, folder: Path) -> None:
    folder.mkdir(parents=True)
    part = folder / f"{PROJECTOR}.{hashlib.sha256(stub.files[PROJECTOR]).hexdigest()[:12]}.part"
    part.symlink_to("/dev/full")
    result = fetch()
    assert result.code == 4
    assert "No space left on device" in result.err
    assert PROJECTOR not in listing(folder)
    part.unlink()
    assert fetch().code == 0


def test_a_manifest_that_finds_no_room_leaves_none(fetch: Fetch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    (folder / ".manifest.json.part").symlink_to("/dev/full")
    result = fetch()
    assert result.code == 4
    assert "manifest.json cannot be written: No space left on device" in result.err
    assert listing(folder) == NAMES


def test_room_is_counted_before_anything_is_fetched(fetch: Fetch, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    result = fetch()
    assert result.code == 4
    assert "has 0.00 GB free; 0.02 GB are needed" in result.err
    assert not [path for method, path, _ in stub.requests if method == "GET"]


def test_a_folder_that_cannot_be_made(fetch: Fetch, folder: Path) -> None:
    folder.parent.write_text("a file")
    result = fetch()
    assert result.code == 4
    assert "cannot be written to: Not a directory" in result.err


@pytest.mark.parametrize("name", [DIT, VAE])
def test_a_file_that_is_not_on_the_hub(fetch: Fetch, stub: Stub, name: str) -> None:
    del stub.files[name]
    result = fetch()
    assert result.code == 8
    assert f"{name} is not on the hub (404 for" in result.err


@pytest.mark.parametrize(("status", "code"), [(404, 8), (403, 8), (500, 5), (503, 5)])
def test_contents_that_are_not_to_be_had(fetch: Fetch, stub: Stub, status: int, code: int) -> None:
    stub.failing = {PROMPT: status}
    result = fetch()
    assert result.code == code
    assert PROMPT in result.err
    assert str(status) in result.err


def test_a_mirror_may_know_no_more_than_the_branch(fetch: Fetch, stub: Stub) -> None:
    """It does not find the pinned commit by its name, but its branch's head is that commit."""
    assert COMMIT is not None
    stub.commit = COMMIT[:12] + "0" * 28
    assert fetch().code == 0


def test_another_revision_is_refused_unless_asked_for(fetch: Fetch, stub: Stub, folder: Path) -> None:
    stub.commit = OTHER
    result = fetch()
    assert result.code == 8
    assert f"is at {OTHER}; expected {COMMIT}. --revision {OTHER} fetches that one instead" in result.err
    assert listing(folder) == set()
    assert fetch("--revision", OTHER).code == 0
    assert json.loads((folder / "manifest.json").read_text())["source"].endswith(OTHER)


@pytest.mark.parametrize(
    ("name", "words"), [(DIT, f"is at {OTHER}; expected {COMMIT}"), (DECODER, f"is of commit {OTHER}; expected")]
)
def test_a_hub_that_answers_for_another_commit(fetch: Fetch, stub: Stub, name: str, words: str) -> None:
    stub.told = {name: {"X-Repo-Commit": OTHER}}
    result = fetch()
    assert result.code == 8
    assert words in result.err


@pytest.mark.parametrize("endpoint", ["hub.example", "http://hub:port", "ftp://hub.example"])
def test_an_endpoint_that_is_none(fetch: Fetch, endpoint: str) -> None:
    result = fetch(endpoint=endpoint)
    assert result.code == 8
    assert "is no address of a hub" in result.err


def test_a_prompt_url_that_is_none(fetch: Fetch) -> None:
    result = fetch("--prompt-url", "posi_prompt.pth")
    assert result.code == 8
    assert "posi_prompt.pth is no address to fetch posi_prompt.pth from" in result.err


def test_an_unknown_revision(fetch: Fetch) -> None:
    result = fetch("--revision", "no-such-branch")
    assert result.code == 8
    assert "at no-such-branch" in result.err


def test_nobody_answers(fetch: Fetch, folder: Path) -> None:
    result = fetch(endpoint="http://127.0.0.1:9")
    assert result.code == 5
    assert "No hub answers at http://127.0.0.1:9/JunhaoZhuang/FlashVSR-v1.1" in result.err
    assert listing(folder) == set()


def test_the_hub_is_down(fetch: Fetch, stub: Stub) -> None:
    stub.down = 503
    result = fetch()
    assert result.code == 5
    assert "The hub failed with 503" in result.err


def test_something_that_is_no_hub(fetch: Fetch, stub: Stub) -> None:
    stub.told = {DIT: {"X-Repo-Commit": None}}
    result = fetch()
    assert result.code == 8
    assert "answers without a commit; is it a hub?" in result.err


def test_version_1_0_is_held_to_what_the_hub_says(fetch: Fetch, stub: Stub, folder: Path) -> None:
    stub.commit = OTHER
    stub.altered = {DECODER: bytes(len(stub.files[DECODER]))}
    assert fetch("--version", "1.0").code == 8
    stub.altered = {}
    assert fetch("--version", "1.0").code == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["version"], manifest["source"]) == ("1.0", f"JunhaoZhuang/FlashVSR@{OTHER}")
    assert manifest["sha256"][DECODER] == hashlib.sha256(stub.files[DECODER]).hexdigest()
    stub.requests.clear()
    assert fetch("--version", "1.0").code == 0
    assert not stub.requests


def test_files_of_two_commits_are_not_mixed(fetch: Fetch, stub: Stub, folder: Path) -> None:
    stub.commit = OTHER
    fetch("--version", "1.0")
    stub.commit, stub.files[DECODER] = "e" * 40, b"another decoder"
    (folder / PROJECTOR).unlink()
    assert fetch("--version", "1.0").code == 0
    assert (folder / DECODER).read_bytes() == b"another decoder"


def test_a_file_without_a_digest_is_not_taken_on_trust(fetch: Fetch, stub: Stub) -> None:
    stub.told = {DECODER: {"X-Linked-ETag": None}}
    result = fetch("--version", "1.0")
    assert result.code == 8
    assert "comes without a SHA-256 to check it by" in result.err


def test_a_folder_with_another_version_is_left_alone(fetch: Fetch, stub: Stub) -> None:
    fetch()
    result = fetch("--version", "1.0")
    assert result.code == 3
    assert "holds FlashVSR-v1.1, version 1.1; name another folder for FlashVSR with --dir" in result.err


def test_a_folder_of_converted_files_is_left_alone(fetch: Fetch, folder: Path) -> None:
    fetch()
    converted = folder.with_name("converted")
    assert run(["weights", "convert", str(folder), str(converted)]) == 0
    shutil.rmtree(folder)
    converted.rename(folder)
    result = fetch()
    assert result.code == 3
    assert "holds converted files" in result.err


def test_two_fetches_at_once(fetch: Fetch, folder: Path) -> None:
    folder.mkdir(parents=True)
    with FileLock(folder / fetching.LOCK):
        result = fetch()
        assert (folder / fetching.LOCK).exists()
    assert result.code == 4
    assert "Another fetch is writing to" in result.err


def test_without_the_extra(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("flashvsr_engine.weights.fetching.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    result = fetch()
    assert result.code == 9
    assert "pip install './engine[fetch]'" in result.err


def test_the_environments_endpoint(stub: Stub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub reads HF_ENDPOINT when it is imported: a process of its own."""
    monkeypatch.setenv("HF_ENDPOINT", stub.url)
    command = [sys.executable, "-m", "flashvsr_engine.cli", "weights", "fetch", "--dir", str(folder)]
    done = subprocess.run([*command, "--prompt-url", stub.prompt_url], capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert f"{stub.url}/JunhaoZhuang/FlashVSR-v1.1/resolve" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_published_table_is_whole() -> None:
    """A guard against slips of the hand, on the table as it was before these tests put small files in it."""
    assert {file.name: file.size for file in PUBLISHED} == {
        DIT: 5676070392,
        PROJECTOR: 575694948,
        DECODER: 189018333,
        VAE: 507609880,
        PROMPT: 4195504,
    }
    assert all(file.sha256 and re.fullmatch("[0-9a-f]{64}", file.sha256) for file in PUBLISHED)

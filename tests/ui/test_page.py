"""The page in a real browser: what a visitor does, and what goes wrong."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import av
import grpc
import pytest

from tests.ui.conftest import Ui, clip, serving, until
from tests.unit.client.fake_serve import FakeServe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[[Ui], "Page"]
SECONDS = 120_000


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open pages, each as a visitor of its own; whatever they ask for has to come from the page's own host."""
    opened: list[tuple[Ui, Page]] = []
    asked: list[tuple[Ui, str]] = []

    def visit(ui: Ui) -> Page:
        page = browser.new_context().new_page()
        page.set_default_timeout(SECONDS)
        page.on("request", lambda request: asked.append((ui, request.url)))
        page.goto(ui.address)
        page.wait_for_selector("#start")
        opened.append((ui, page))
        return page

    yield visit
    for _, page in opened:
        page.context.close()
    for ui, _ in opened:
        if ui.process.poll() is None:
            until(lambda ui=ui: ui.files() == [], why=ui.files)  # type: ignore[misc]
    foreign = [url for ui, url in asked if not url.startswith((f"http://{ui.host}/", "data:", "blob:"))]
    assert foreign == []


def upload(page: Page, path: Path) -> None:
    page.locator("#video-in input[type=file]").set_input_files(path)
    page.wait_for_selector(f"#facts :text('{path.name}')")


def state(page: Page, name: str) -> None:
    page.wait_for_selector(f"#progress [data-state='{name}']")


def message(page: Page, text: str) -> None:
    page.wait_for_selector(f"#message :text('{text}')")


def test_a_video_is_upscaled_compared_played_and_downloaded(local_ui: Ui, visit: Open, tmp_path: Path) -> None:
    page = visit(local_ui)
    upload(page, clip(tmp_path / "small.mp4", 160))
    assert "64 \N{MULTIPLICATION SIGN} 48" in page.inner_text("#facts")
    page.click("#scale label:has(input[value='2'])")
    page.click("#start")
    page.wait_for_selector("#progress :text-matches('Frame [0-9]+ of 160 . [0-9.]+ fps . [0-9.]+ s left')")
    state(page, "done")
    message(page, "160 frames of 128")

    images = page.locator("#compare img")
    before, after = (images.nth(index).get_attribute("src") or "" for index in (0, 1))
    assert before.endswith("/81-before.jpg")
    assert after.endswith("/81-after.jpg")
    page.locator("#frame input[type=range]").fill("3")
    page.wait_for_selector("#compare img[src$='/3-before.jpg']")
    assert images.nth(0).evaluate("image => image.decode().then(() => image.naturalWidth)") == 128

    for part in ("#video-before", "#video-out"):
        playable = f"document.querySelector('{part} video')?.readyState >= 1"
        page.wait_for_function(playable)
        assert page.locator(f"{part} video").evaluate("video => video.duration") == pytest.approx(6.4, abs=0.05)

    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "small_2x.mp4"
    with av.open(str(download.value.path())) as made:
        frames = list(made.decode(video=0))
    assert (len(frames), frames[0].width, frames[0].height) == (160, 128, 96)


def test_a_broken_file_is_named_and_another_one_may_follow(local_ui: Ui, visit: Open, tmp_path: Path) -> None:
    page = visit(local_ui)
    page.click("#start")
    message(page, "no video yet")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    page.locator("#video-in input[type=file]").set_input_files(broken)
    message(page, "broken.mp4 cannot be read as a video")
    assert str(local_ui.temporary) not in page.inner_text("#message")
    page.click("#start")
    message(page, "broken.mp4 cannot be read as a video")
    upload(page, clip(tmp_path / "good.mp4", 3))
    page.wait_for_selector("#message .fv-message", state="detached")


def test_an_upload_that_is_too_large_is_refused_before_it_is_sent(local_ui: Ui, visit: Open, tmp_path: Path) -> None:
    page = visit(local_ui)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(1 << 21))
    page.locator("#video-in input[type=file]").set_input_files(large)
    message(page, "large.mp4 has 2 MiB, and an upload may have 1 MiB")
    with closing(HTTPConnection(local_ui.host)) as connection:  # whoever sends without asking the page
        connection.putrequest("POST", "/gradio_api/upload")
        connection.putheader("Content-Length", str(3 << 20))
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_wrong_options_are_the_clients_sentences(local_ui: Ui, visit: Open, tmp_path: Path) -> None:
    page = visit(local_ui)
    upload(page, clip(tmp_path / "small.mp4", 3))
    page.click("#more button")
    page.fill("#crf textarea, #crf input", "99")
    page.click("#start")
    message(page, "crf 99: give 0 (best)")
    page.fill("#crf textarea, #crf input", "")
    page.click("#mode label:has(input[value='full'])")
    page.click("#start")
    state(page, "failed")
    message(page, "lacks the part")


def test_the_next_one_waits_its_turn_and_cancelling_gives_it(local_ui: Ui, visit: Open, tmp_path: Path) -> None:
    first, second = visit(local_ui), visit(local_ui)
    upload(first, clip(tmp_path / "long.mp4", 900))
    first.click("#scale label:has(input[value='2'])")
    first.click("#start")
    state(first, "running")
    upload(second, clip(tmp_path / "short.mp4", 10))
    second.click("#scale label:has(input[value='2'])")
    second.click("#start")
    second.wait_for_selector("#progress :text('number 1 in the queue')")
    first.click("#cancel")
    state(first, "cancelled")
    message(first, "interrupted; no output was written")
    state(second, "done")


def test_a_page_that_is_closed_in_mid_job_leaves_nothing(local_ui: Ui, visit: Open, tmp_path: Path) -> None:
    page, other = visit(local_ui), visit(local_ui)
    upload(page, clip(tmp_path / "long.mp4", 900))
    page.click("#scale label:has(input[value='2'])")
    page.click("#start")
    state(page, "running")
    assert local_ui.files()
    page.context.close()
    until(lambda: local_ui.files() == [], why=local_ui.files)
    upload(other, clip(tmp_path / "short.mp4", 3))
    other.click("#scale label:has(input[value='2'])")
    other.click("#start")
    state(other, "done")


@pytest.fixture
def fake() -> Iterator[FakeServe]:
    fake = FakeServe()
    yield fake
    fake.stop()


def test_a_server_is_waited_for_and_freed_and_its_end_is_told(fake: FakeServe, visit: Open, tmp_path: Path) -> None:
    fake.busy = {"flashvsr0"}
    held = threading.Event()

    def hold(_context: grpc.ServicerContext) -> None:
        held.wait(20)

    fake.before = {(3, 1): hold}  # the server takes long over the fourth chunk
    with serving(tmp_path / "ui", "--server", fake.address) as ui:
        page = visit(ui)
        assert page.locator("#mode input:enabled").count() == 0
        page.wait_for_selector(f"#head :text('server {fake.address}')")
        upload(page, clip(tmp_path / "small.mp4", 40))
        page.click("#start")
        page.wait_for_selector("#progress [data-state='no room'] :text('full')")
        fake.busy = set()
        page.wait_for_selector("#progress :text('Frame')")
        page.click("#cancel")
        until(lambda: fake.closed == 1)
        state(page, "cancelled")
        assert not held.is_set()
        held.set()
        fake.stop()
        page.click("#start")
        state(page, "failed")
        message(page, f"no server answers at {fake.address}")


@pytest.mark.parametrize(
    ("path", "host", "code"),
    [
        ("gradio_api/file=/etc/passwd", None, 404),
        ("gradio_api/file={files}/../../etc/passwd", None, 404),
        ("gradio_api/file=http://127.0.0.1:9/", None, 404),
        ("gradio_api/proxy=http://127.0.0.1:9/", None, 404),
        ("gradio_api/call/start", None, 404),
        ("gradio_api/info", None, 404),
        ("monitoring", None, 404),
        ("", "evil.example", 421),
        ("", "localhost", 200),
    ],
)
def test_the_page_gives_nothing_else(local_ui: Ui, path: str, host: str | None, code: int) -> None:
    (files,) = local_ui.temporary.glob("flashvsr-ui-*")
    request = urllib.request.Request(local_ui.address + path.replace("{files}", str(files)))
    if host is not None:
        request.add_header("Host", host)
    if code == 200:
        with urllib.request.urlopen(request) as answer:
            assert "default-src 'self'" in answer.headers["content-security-policy"]
        return
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == code


def test_names_are_asked_for_and_the_process_ends_in_order_in_mid_job(browser: Browser, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("# who may\nanna:secret words\n")
    asked: list[str] = []
    with serving(tmp_path / "ui", "--device", "cpu", "--password-file", str(users)) as ui:
        (folder,) = ui.temporary.glob("flashvsr-ui-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{ui.address}config")
        assert refused.value.code == 401
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(ui.address)
        page.locator("input").nth(0).fill("anna")
        page.locator("input").nth(1).fill("secret words")
        page.click("button:has-text('Login')")
        upload(page, clip(tmp_path / "long.mp4", 900))
        page.click("#scale label:has(input[value='2'])")
        page.click("#start")
        state(page, "running")
        assert ui.stop() == 0
        page.close()
    assert not folder.exists()
    assert [url for url in asked if not url.startswith((f"http://{ui.host}/", "data:", "blob:"))] == []

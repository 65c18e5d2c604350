"""`python -m tests.ui.screenshot docs/ui.jpg`: the page with the demo's clip, upscaled 4x by the built-in model."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from flashvsr_client.demo import clip
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.ui.conftest import serving

SIZE = {"width": 1280, "height": 960}
MINUTES = 10 * 60_000


def main(target: Path) -> None:
    """Run a job on the page and write a picture of it."""
    with TemporaryDirectory() as folder, serving(Path(folder, "ui"), "--device", "cpu") as ui, sync_playwright() as api:
        small, picture = Path(folder, "clip.mp4"), Path(folder, "page.png")
        clip.write(small)
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]  # a dictionary, as it says
        page.goto(ui.address)
        page.locator("#video-in input[type=file]").set_input_files(small)
        page.wait_for_selector("#facts .fv-facts")
        page.click("#start")
        page.wait_for_selector("#progress [data-state='done']", timeout=MINUTES)
        for part in ("before", "out"):
            page.wait_for_function(f"document.querySelector('#video-{part} video').readyState >= 2")
        page.mouse.move(0, 0)
        page.wait_for_timeout(1000)
        page.screenshot(path=picture)
        browser.close()
        Image.open(picture).convert("RGB").save(target, quality=82, optimize=True, progressive=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

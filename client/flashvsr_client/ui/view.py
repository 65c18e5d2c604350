"""The pieces of HTML that the page shows: facts, progress, messages, players."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.report import Report
from flashvsr_client.ui.runner import Job, State

NOTHING: Final = ""
_PICTURES: Final = (".gif", ".png", ".apng", ".jpg", ".jpeg", ".webp", ".avif", ".bmp")
"""What browsers show and do not play."""
TIMES: Final = "\N{MULTIPLICATION SIGN}"


def header(where: str) -> str:
    """Give the page's head; ``where`` the work is done."""
    return (
        '<header class="fv-head"><div><h1>FlashVSR</h1><p>Streaming video super-resolution</p></div>'
        f'<p class="fv-where" title="Where the work is done">{escape(where)}</p></header>'
    )


def empty() -> str:
    """Give what is where the result will be."""
    return (
        '<div class="fv-empty"><p class="fv-empty-title">Before and after, frame by frame</p>'
        "<p>Drop a video, choose how much larger it gets, and press Start. It keeps its sound and its timing.</p></div>"
    )


def message(text: str, *, error: bool = False) -> str:
    """Give a sentence for the visitor; an error is told to screen readers at once."""
    if not text:
        return NOTHING
    kind, role = ("fv-error", "alert") if error else ("fv-note", "status")
    return f'<p class="fv-message {kind}" role="{role}">{escape(text)}</p>'


def facts(name: str, info: VideoInfo) -> str:
    """Say what an uploaded video is."""
    parts = [f"{info.width} {TIMES} {info.height}", f"{float(info.rate):.4g} fps"]
    if info.frames is not None:
        parts += [frames(info.frames), span(info.frames / float(info.rate))]
    parts += ["with sound"] if info.audio_codecs else []
    return f'<p class="fv-facts"><strong>{escape(name)}</strong> {escape(", ".join(parts))}</p>'


def report(done: Report) -> str:
    """Say what a finished job made."""
    sentences = [
        f"{frames(done.frames)} of {done.width} {TIMES} {done.height} in {span(done.seconds)}, {rate(done.fps)} "
        f"({done.model})",
        *done.notes,
    ]
    return message("; ".join(sentences))


def progress(job: Job) -> str:
    """Show where a job is: a bar, and the same in words."""
    state, standing = job.state, job.meter.standing()
    done, total = (standing.done, standing.total) if standing else (0, None)
    share = 1.0 if state is State.DONE else done / total if total else 0.0
    moving = "fv-moving" if state in (State.OPENING, State.NO_ROOM) or (state is State.RUNNING and not done) else ""
    return (
        f'<div class="fv-progress {moving}" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="{total or 0}" aria-valuenow="{done}" data-state="{state.value}">'
        f'<div class="fv-track"><div class="fv-fill" style="width:{100 * min(share, 1.0):.1f}%"></div></div>'
        f"<p>{escape(words(job))}</p></div>"
    )


def words(job: Job) -> str:
    """Say where a job is."""
    state, standing = job.state, job.meter.standing()
    if job.interrupt.asked.is_set() and not job.ended.is_set():
        return "Cancelling: the session is being closed"
    if state is State.RUNNING and standing is not None:
        if not standing.done:
            return "Waiting for the first frames"
        of = f" of {standing.total}" if standing.total else ""
        left = standing.seconds_left
        return " · ".join(
            [f"Frame {standing.done}{of}", rate(standing.fps), *([] if left is None else [f"{span(left)} left"])]
        )
    return {
        State.WAITING: f"Waiting: number {job.place} in the queue",
        State.OPENING: "Opening a session",
        State.NO_ROOM: f"Waiting for room: {job.error}",
        State.DONE: "Done",
        State.CANCELLED: "Cancelled",
        State.FAILED: "Failed",
    }.get(state, "")


def player(path: Path, label: str, width: int, height: int) -> str:
    """Give a player for a film of the visit, in the browser's own controls; of a picture, the picture."""
    source = f'style="--fv-shape: {width} / {height}" src="{escape(address(path))}"'
    if path.suffix.lower() in _PICTURES:
        shown = f'<img alt="" {source}>'
    else:
        shown = (
            f'<video controls playsinline preload="metadata" {source} '
            """onerror="this.parentNode.classList.add('fv-dead')"></video>"""
            f'<p class="fv-cannot">This browser cannot play {escape(path.name)}</p>'
        )
    return f'<figure class="fv-player"><figcaption>{escape(label)}</figcaption>{shown}</figure>'


def address(path: Path) -> str:
    """Give a file's address, relative to the page's."""
    return f"gradio_api/file={quote(str(path))}"


def span(seconds: float) -> str:
    """Say a duration as people do: 0.8 s, 42 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def frames(count: int) -> str:
    """Say how many."""
    return "1 frame" if count == 1 else f"{count} frames"


def rate(fps: float) -> str:
    """Say a speed with as many digits as mean something."""
    return f"{fps:.0f} fps" if fps >= 100 else f"{fps:.3g} fps"


def size(count: int) -> str:
    """Say a number of bytes: 2 GiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"

"""ComfyUI's VIDEO through the client, from file to file: no more than some frames of it are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from flashvsr_client import Client, Reading, Segmentation
from flashvsr_client.progress import Silent

from . import host

_MP4: Final = (".mp4", ".m4v", ".mov")


def upscaled(client: Client, video: Any, scale: int, seed: int) -> object:
    """VIDEO -> VIDEO, a file among ComfyUI's temporary ones, with sound and frame times as they are.

    Raises any :class:`ClientError`, and ComfyUI's own exception when the user cancels.
    """
    with _file_of(video) as source:
        # ComfyUI saves an MP4 as it is; what MP4 does not hold goes to Matroska, which it encodes again
        target = host.temporary_folder() / f"upscaled{'.mp4' if source.suffix.lower() in _MP4 else '.mkv'}"
        client.upscale_file(
            source,
            target,
            scale,
            seed=seed,
            segmentation=Segmentation(frames=0),
            progress=_Shown(),
            reading=_part_of(video),
        )
    return host.video(target)


class _Shown(Silent):
    """A :class:`Progress` on ComfyUI's bar, which also looks whether the user has cancelled."""

    _watch: host.Watch | None = None

    def start(self, total: int | None) -> None:
        self._watch = host.Watch(total or 0)
        self._watch.check()

    def advance(self) -> None:
        assert self._watch is not None, "start comes first"
        self._watch.check()
        self._watch.advance()


@contextmanager
def _file_of(video: Any) -> Iterator[Path]:
    """The video's file; one that is in memory is written for as long as the block lasts."""
    source = video.get_stream_source()
    if isinstance(source, str):
        yield Path(source)
        return
    with TemporaryDirectory(prefix="flashvsr-") as folder:
        path = Path(folder) / "video.mkv"
        path.write_bytes(source.getbuffer())
        yield path


def _part_of(video: Any) -> Reading:
    """What the video was trimmed to; older versions of ComfyUI know no trim."""
    window = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))
    start, duration = (Fraction(str(seconds)) for seconds in window())
    return Reading(start=start, duration=duration or None)

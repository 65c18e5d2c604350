"""Whether borders of segments can be seen: how much a picture changes from frame to frame there, and elsewhere.

    python -m bench.segments CLIP... [--frames 200] [--width 96] [--border 64]

runs the built-in model over the clips, shrunk, once as one session and once in segments, and prints a row for each
overlap and warm-up. A step is the mean absolute difference of neighbouring frames, in 255ths. "At borders" is over
the steps into, inside and out of the overlaps; beside it are the same places of the one session, for what moves there
moves anyway. "Excess" is the largest of (step in segments - step in one session) at borders. dB is the PSNR against
the one session: of the frames of overlaps and the 8 frames after them, and of all frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flashvsr_client.chunks import Frames
from flashvsr_client.config import Segmentation
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe
from flashvsr_client.merge import blend
from flashvsr_client.segments import Segment, cut
from flashvsr_engine import EngineConfig, FlashVSREngine
from PIL import Image

SETTINGS = ((0, 0), (0, 24), (4, 24), (8, 24), (4, 48))
COLUMNS = (
    "clip",
    "overlap",
    "warm-up",
    "at borders",
    "same places, one session",
    "elsewhere",
    "excess",
    "dB there",
    "dB",
)


def main() -> None:
    """Measure, print a row for each clip and setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--border", type=int, default=64, help="frames in a segment")
    options = parser.parse_args()
    engine = FlashVSREngine.load(EngineConfig(device="cpu", memory_limit=None))
    print("| " + " | ".join(COLUMNS) + " |\n" + "| --- " * len(COLUMNS) + "|")
    for clip in options.clips:
        film = _shrunk(clip, options.frames, options.width)
        whole = _session(engine, film, Segment(0, 0, 0, len(film), len(film), 0, 0))
        for overlap, warm_up in SETTINGS:
            segments = cut(len(film), Segmentation(options.border, overlap, warm_up))
            made = _joined([_session(engine, film, segment) for segment in segments], segments)
            cells = _measured(made, whole, segments)
            row = " | ".join(f"{cell:.2f}" for cell in cells)
            print(f"| {clip.stem} | {overlap} | {warm_up} | {row} |", flush=True)


def _shrunk(clip: Path, frames: int, width: int) -> Frames:
    info = probe(clip)
    size = (width, round(width * info.height / info.width))
    pictures = (Image.fromarray(frame.picture) for frame, _ in zip(decode(info), range(frames), strict=False))
    return np.stack([np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) for picture in pictures])


def _session(engine: FlashVSREngine, film: Frames, segment: Segment) -> Frames:
    """The frames that a segment keeps."""
    with engine.open(film.shape[2], film.shape[1], first_frame=segment.start) as session:
        out = session.push(film[segment.start : segment.feed_stop])
        if segment.at_the_end:
            out = np.concatenate([out, session.finish()])
    return out[segment.first - segment.start : segment.stop - segment.start]


def _joined(made: list[Frames], segments: tuple[Segment, ...]) -> Frames:
    parts: list[Frames] = []
    for frames, segment in zip(made, segments, strict=True):
        head, tail = segment.overlap_before, segment.overlap_after
        if head:
            parts.append(blend(made[segment.index - 1][-head:], frames[:head]))
        parts.append(frames[head : len(frames) - tail])
    return np.concatenate(parts)


def _measured(made: Frames, whole: Frames, segments: tuple[Segment, ...]) -> list[float]:
    there = np.zeros(len(made) - 1, bool)  # step i leads from frame i to frame i + 1
    near = np.zeros(len(made), bool)
    for segment in segments[1:]:
        there[segment.first - 1 : segment.head.stop] = True
        near[segment.first : segment.head.stop + 8] = True
    steps, before = _steps(made), _steps(whole)
    means = [steps[there].mean(), before[there].mean(), steps[~there].mean(), (steps - before)[there].max()]
    return [float(mean) for mean in means] + [_psnr(made[near], whole[near]), _psnr(made, whole)]


def _steps(video: Frames) -> npt.NDArray[np.float64]:
    pairs = zip(video[1:], video[:-1], strict=True)
    return np.array([np.abs(after.astype(np.int16) - before).mean() for after, before in pairs])


def _psnr(one: Frames, other: Frames) -> float:
    error = np.square(one.astype(np.float32) - other).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


if __name__ == "__main__":
    main()

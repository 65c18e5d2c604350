"""Gain over bicubic interpolation at each scale, on photographs that come with scikit-image.

    python -m bench.scales

prints dB of luma, as `flashvsr compare` measures it, for a still of 21 frames, the eleventh of them; none of the
pictures was trained on. --write puts the table into bench/RESULTS.md in place of the one before.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

import numpy as np
from flashvsr_client.chunks import Frame
from flashvsr_client.compare.metrics import luma, psnr
from flashvsr_engine import EngineConfig, FlashVSREngine
from PIL import Image
from skimage import data

from bench.faults import RESULTS, replaced

TITLE: Final = "## Each scale, on photographs of scikit-image"
FRAMES = 21
SIDE = 12
"""Pictures are cut to multiples of this, which every scale divides."""


def main() -> None:
    """Parse the options, measure, print a row for each picture and scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="builtin")
    parser.add_argument("--write", action="store_true", help="into bench/RESULTS.md")
    options = parser.parse_args()
    section = [f"{TITLE}\n", "`python -m bench.scales --write` (2 cores, float32):\n"]
    for line in table(FlashVSREngine.load(EngineConfig(weights=options.weights, precision="fp32"))):
        print(line, flush=True)
        section.append(line)
    if options.write:
        RESULTS.write_text(replaced(RESULTS.read_text(), "\n".join(section) + "\n"))


def table(engine: FlashVSREngine) -> Iterator[str]:
    """Measure; give the lines of the table."""
    yield "| picture | scale | bicubic, dB | FlashVSR, dB | gain |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for picture in ("astronaut", "coffee", "chelsea", "rocket"):
        truth = _cut(getattr(data, picture)())
        for scale in (2, 3, 4):
            small = _resized(truth, truth.shape[1] // scale, truth.shape[0] // scale)
            with engine.open(small.shape[1], small.shape[0], scale) as session:
                made = np.concatenate([session.push(np.repeat(small[None], FRAMES, 0)), session.finish()])
            bicubic = psnr(luma(_resized(small, truth.shape[1], truth.shape[0])), luma(truth))
            ours = psnr(luma(made[FRAMES // 2]), luma(truth))
            yield f"| {picture} | {scale} | {bicubic:.2f} | {ours:.2f} | {ours - bicubic:+.2f} |"


def _cut(picture: Frame) -> Frame:
    height, width = picture.shape[0] // SIDE * SIDE, min(picture.shape[1], 384) // SIDE * SIDE
    return picture[: min(height, 288), :width]


def _resized(picture: Frame, width: int, height: int) -> Frame:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()

"""Gain over bicubic interpolation at each scale, on photographs that come with scikit-image.

    python -m bench.scales

prints dB of luma (BT.601) for a still of 21 frames, the eleventh of them; none of the pictures was trained on.
"""

from __future__ import annotations

import argparse

import numpy as np
from flashvsr_client.chunks import Frame
from flashvsr_client.demo.compare import luma_psnr
from flashvsr_engine import EngineConfig, FlashVSREngine
from PIL import Image
from skimage import data

FRAMES = 21
SIDE = 12
"""Pictures are cut to multiples of this, which every scale divides."""


def main() -> None:
    """Parse the options, measure, print a row for each picture and scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="builtin")
    engine = FlashVSREngine.load(EngineConfig(weights=parser.parse_args().weights))
    print("| picture | scale | bicubic, dB | FlashVSR, dB | gain |\n| --- | ---: | ---: | ---: | ---: |")
    for picture in ("astronaut", "coffee", "chelsea", "rocket"):
        truth = _cut(getattr(data, picture)())
        for scale in (2, 3, 4):
            small = _resized(truth, truth.shape[1] // scale, truth.shape[0] // scale)
            with engine.open(small.shape[1], small.shape[0], scale) as session:
                made = np.concatenate([session.push(np.repeat(small[None], FRAMES, 0)), session.finish()])
            bicubic = luma_psnr(_resized(small, truth.shape[1], truth.shape[0]), truth)
            ours = luma_psnr(made[FRAMES // 2], truth)
            print(f"| {picture} | {scale} | {bicubic:.2f} | {ours:.2f} | {ours - bicubic:+.2f} |", flush=True)


def _cut(picture: Frame) -> Frame:
    height, width = picture.shape[0] // SIDE * SIDE, min(picture.shape[1], 384) // SIDE * SIDE
    return picture[: min(height, 288), :width]


def _resized(picture: Frame, width: int, height: int) -> Frame:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()

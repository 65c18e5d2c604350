"""What the bound on the built-in decoder's residual costs, film by film.

    python -m bench.residual --clips FOLDER

prints dB over bicubic interpolation for several bounds (FLOOR, SHARE of `flashvsr_engine.residual`).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

from flashvsr_engine import EngineConfig, FlashVSREngine, residual

from train.evaluate import upscale
from train.metrics import compare
from train.truths import enlarge, film_cases, shrink

BOUNDS = ((9.0, 9.0), (0.12, 0.25), (0.2, 0.4))
FRAMES = 21
SCALE = 4


def main() -> None:
    """Parse the options, measure, print a row for each film."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--weights", default="builtin")
    options = parser.parse_args()
    engine = FlashVSREngine.load(EngineConfig(weights=options.weights, color_fix="none"))
    print("| film |" + "".join(f" {floor:g}, {share:g} |" for floor, share in BOUNDS))
    print("| --- |" + " ---: |" * len(BOUNDS))
    for case in film_cases(options.clips, FRAMES, SCALE):
        given = shrink(case.truth, SCALE)
        bicubic = compare(enlarge(given, SCALE), case.truth).psnr
        cells = []
        for floor, share in BOUNDS:
            with mock.patch.multiple(residual, FLOOR=floor, SHARE=share):
                cells.append(f" {compare(upscale(engine, given, SCALE), case.truth).psnr - bicubic:.3f} |")
        print(f"| {case.name} |" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()

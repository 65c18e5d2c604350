"""Score a weights folder through the engine, against bicubic interpolation: python -m train.evaluate --help."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from flashvsr_client.compare.measure import Scores
from flashvsr_engine import EngineConfig, FixedNoise, FlashVSREngine
from flashvsr_engine.config import ColorFix
from flashvsr_engine.weights import read_manifest
from PIL import Image
from safetensors.torch import load_file, save_file

from train.metrics import Clip, compare
from train.tables import BICUBIC, Evaluation, scores_table
from train.truths import Case, enlarge, film_cases, photograph_cases, shrink

ZEROED = "zeroed"


@dataclass(frozen=True, slots=True)
class Result:
    """One case: bicubic's scores and each variant's."""

    kind: str
    name: str
    frames: int
    size: tuple[int, int]
    scores: dict[str, Scores]


def upscale(engine: FlashVSREngine, clip: Clip, scale: int, zero_noise: bool = False) -> Clip:
    """A clip through one session, in pushes of 8 frames."""
    noise = FixedNoise(torch.zeros(1).expand(1, 16, *_latent_shape(clip, scale))) if zero_noise else None
    with engine.open(width=clip.shape[2], height=clip.shape[1], scale=scale, noise=noise) as session:
        made = [session.push(clip[start : start + 8]) for start in range(0, len(clip), 8)]
        made.append(session.finish())
    return np.concatenate([np.asarray(part) for part in made])


def evaluate(
    cases: Iterable[Case], scale: int, engines: dict[str, FlashVSREngine], pictures: Path | None
) -> Iterator[Result]:
    """Score every case with every engine; the engine named "zeroed" gets no noise, hence latents of zero."""
    for case in cases:
        given = shrink(case.truth, scale)
        clips = {BICUBIC: enlarge(given, scale)}
        clips |= {name: upscale(engine, given, scale, name == ZEROED) for name, engine in engines.items()}
        if pictures is not None:
            _side_by_side([*clips.values(), case.truth], pictures / f"{case.kind}_{case.name}.png")
        height, width = case.truth.shape[1:3]
        scores = {name: compare(clip, case.truth) for name, clip in clips.items()}
        yield Result(case.kind, case.name, len(case.truth), (width, height), scores)


def without_latents(weights: Path, folder: Path) -> Path:
    """A copy of a weights folder whose DiT always answers 0: with noise of 0, the decoder gets latents of 0."""
    copy = Path(shutil.copytree(weights, folder / "zeroed"))
    manifest = read_manifest(copy)
    file = copy / manifest.files["dit"]
    tensors = load_file(file)
    for name in ("head.head.weight", "head.head.bias"):
        tensors[name] = torch.zeros_like(tensors[name])
    save_file(tensors, file)
    entries = json.loads((copy / "manifest.json").read_text())
    entries["sha256"].pop(manifest.files["dit"], None)
    (copy / "manifest.json").write_text(json.dumps(entries))
    return copy


def load_engines(options: argparse.Namespace, scratch: Path) -> dict[str, FlashVSREngine]:
    """An engine for each colour correction asked for, and one whose latents are zero."""

    def load(weights: Path, color_fix: ColorFix) -> FlashVSREngine:
        config = EngineConfig(weights, precision=options.precision, device=options.device, color_fix=color_fix)
        return FlashVSREngine.load(config)

    engines = {fix: load(options.weights, fix) for fix in options.color_fix}
    if options.zeroed:
        engines[ZEROED] = load(without_latents(options.weights, scratch), "none")
    return engines


def main() -> None:
    """The command."""
    options = _parser().parse_args()
    scale = options.scale
    cases = photograph_cases(options.photos, options.held_out, options.side, options.frames, scale)
    if options.clips is not None:
        cases = chain(cases, film_cases(options.clips, options.clip_frames, scale))
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        engines = load_engines(options, Path(scratch))
        for result in evaluate(cases, scale, engines, options.out / "pictures" if options.pictures else None):
            print(_line(result), flush=True)
            results.append(result)
    options.out.mkdir(parents=True, exist_ok=True)
    found: Evaluation = {"scale": scale, "precision": options.precision, "cases": [asdict(one) for one in results]}
    (options.out / f"evaluation_{scale}x.json").write_text(json.dumps(found, indent=1) + "\n")
    print(scores_table([found]))


def _latent_shape(clip: Clip, scale: int) -> tuple[int, int, int]:
    """Latents, rows and columns that are enough for the clip and its padding."""
    rows, columns = (-(-size * scale // 128) * 16 for size in clip.shape[1:3])
    return len(clip) // 4 + 16, rows, columns


def _side_by_side(clips: list[Clip], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    middle = len(clips[0]) // 2
    Image.fromarray(np.concatenate([clip[middle] for clip in clips], axis=1)).save(path)


def _line(result: Result) -> str:
    scores = "  ".join(
        f"{name} {s.psnr:.2f} dB {s.ssim:.4f} {s.temporal or 0:.3f}" for name, s in result.scores.items()
    )
    return f"{result.kind:8} {result.name[:32]:32} {scores}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="weights folder, as train.run writes it")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs; SOURCES.csv in or above it")
    parser.add_argument("--clips", type=Path, help="folder of films (needs PyAV) or of .npy arrays (T, H, W, 3)")
    parser.add_argument("--out", type=Path, required=True, help="gets evaluation_SCALEx.json and pictures/")
    parser.add_argument("--scale", type=int, default=4, choices=(2, 3, 4))
    parser.add_argument("--held-out", type=int, default=20, help="as in the training's configuration")
    parser.add_argument("--side", type=int, default=512, help="widest window of a photograph")
    parser.add_argument("--frames", type=int, default=21, help="of stills and panning")
    parser.add_argument("--clip-frames", type=int, default=61)
    parser.add_argument("--precision", default="fp32", choices=("auto", "bf16", "fp16", "fp32"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--color-fix", nargs="+", default=["adain", "none"], choices=get_args(ColorFix))
    parser.add_argument("--zeroed", action="store_true", help="also with latents of zero: is the DiT used?")
    parser.add_argument("--pictures", action="store_true", help="also bicubic, each variant, truth, side by side")
    return parser


if __name__ == "__main__":
    main()

"""`flashvsr compare A B`: how near two films are to a third, or one to another."""

from __future__ import annotations

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flashvsr_client.errors import InputError, OutputError, UsageError
from flashvsr_client.media.stdin import STANDARD

if TYPE_CHECKING:
    from flashvsr_client.compare.montage import Crop

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("a", metavar="A", type=_PATH)
@click.argument("b", metavar="B", type=_PATH)
@click.option("--reference", metavar="R", type=_PATH, help="What both should look like.")
@click.option("--vmaf", is_flag=True, help="Measure VMAF too, with an ffmpeg that has libvmaf.")
@click.option("--csv", "table", metavar="FILE", type=_PATH, help="A row for each frame.")
@click.option("--plot", metavar="SVG|PNG", type=_PATH, help="Curves over the frames.")
@click.option("--montage", metavar="PNG", type=_PATH, help="One frame of all, side by side.")
@click.option("--frame", metavar="N", type=int, help="Of the montage, from 0.  [default: the middle one]")
@click.option("--crop", metavar="WxH[+X+Y]", help="Of the montage.  [default: 640x384 in the middle]")
@click.option("--json", "for_programs", is_flag=True, help="Print JSON, with every frame's scores.")
@click.option("-y", "--overwrite", is_flag=True, help="Overwrite existing files.")
def compare(
    *,
    a: Path,
    b: Path,
    reference: Path | None,
    vmaf: bool,
    table: Path | None,
    plot: Path | None,
    montage: Path | None,
    frame: int | None,
    crop: str | None,
    for_programs: bool,
    overwrite: bool,
) -> None:
    """Measure the films A and B against R: PSNR and SSIM of luma, and the error of change from frame to frame.

    A and B may be smaller than R by a whole factor: they are enlarged by bicubic interpolation, so `flashvsr compare
    input.mp4 output.mp4 --reference truth.mp4` says what was gained over it. Without R, B is shrunk to A's size and
    measured against A: whether an upscaled film still shows its input. docs/quality.md explains the figures.
    """
    _require("PIL", "skimage", *(["matplotlib"] if plot else []))
    from flashvsr_client.compare import measure, pairs, tables
    from flashvsr_client.compare.montage import Crop

    cut = Crop() if crop is None else Crop.parse(crop)
    inputs = [path for path in (a, b, reference) if path is not None]
    files = [path for path in (table, plot, montage) if path is not None]
    _check_inputs(inputs)
    _check_files(files, inputs, plot, montage, overwrite=overwrite)
    if frame is not None and frame < 0:
        raise UsageError(f"frame {frame}: give 0 or more")
    ffmpeg = _ffmpeg() if vmaf else None
    if montage is not None:
        pairs.lined_up(a, b, reference)  # films that do not fit are told of before anything is written
        _montage(montage, inputs, frame, cut)
    found = measure.compare(a, b, reference, ffmpeg)
    if table is not None:
        tables.write_csv(found, table)
    if plot is not None:
        from flashvsr_client.compare.plot import draw

        draw(found, plot)
    click.echo(tables.as_json(found) if for_programs else tables.summary(found))


def _require(*modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"{', '.join(missing)} is not installed: pip install './client[compare]' in the repository's folder"
        )


def _check_inputs(inputs: list[Path]) -> None:
    for path in inputs:
        if path == STANDARD:
            raise InputError("-: films are read more than once to be compared; give files or folders of pictures")


def _check_files(
    files: list[Path], inputs: list[Path], plot: Path | None, montage: Path | None, *, overwrite: bool
) -> None:
    """Refuse what could not be written, before hours of work."""
    if plot is not None and plot.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"--plot {plot}: give a name that ends in .svg or .png")
    if montage is not None and montage.suffix.lower() != ".png":
        raise UsageError(f"--montage {montage}: give a name that ends in .png")
    for place, file in enumerate(files):
        if file.resolve() in [path.resolve() for path in inputs]:
            raise OutputError(f"{file} is one of the films, which are never overwritten: choose another name")
        if file.resolve() in [path.resolve() for path in files[:place]]:
            raise OutputError(f"{file} is named for two outputs: give each a name of its own")
        if file.exists() and not overwrite:
            raise OutputError(f"{file} exists: choose another name, or give -y")
        if not file.absolute().parent.is_dir():
            raise OutputError(f"{file.parent} is no folder: make it first")


def _ffmpeg() -> str:
    from flashvsr_client.compare import vmaf

    ffmpeg = vmaf.offered()
    if ffmpeg is None:
        raise UsageError(f"--vmaf: no ffmpeg here has libvmaf; {vmaf.WHERE}, or leave it out")
    return ffmpeg


def _montage(target: Path, paths: list[Path], frame: int | None, crop: Crop) -> None:
    """Write it in the size of the largest film. ``frame``: by default the middle one, as far as the file says."""
    from flashvsr_client.compare import montage, pairs
    from flashvsr_client.config import Reading
    from flashvsr_client.media.decode import decode
    from flashvsr_client.media.probe import probe

    infos = [probe(path, Reading(hdr="tonemap")) for path in paths]
    number = (infos[0].frames or 1) // 2 if frame is None else frame
    largest = max(infos, key=lambda info: info.width)
    tiles = []
    for info in infos:
        with closing(decode(info, number, 1, depth=8)) as frames:
            shown = next(frames, None)
        if shown is None:
            raise UsageError(f"frame {number}: {info.path} is not that long; the first one is 0")
        tiles.append((info.path.name, pairs.resized(shown.picture, largest.width, largest.height)))
    montage.write(target, tiles, crop)

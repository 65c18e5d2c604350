"""Runs the demo: server, client, comparison."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import click

from flashvsr_client.client import Client
from flashvsr_client.config import Encoding
from flashvsr_client.demo import server
from flashvsr_client.errors import EXIT_INTERRUPTED, ClientError
from flashvsr_client.media.probe import probe
from flashvsr_client.progress import Silent
from flashvsr_client.report import Report

_FIRST_OUTPUT: Final = 21  # frames that the engine gives at once; speed is steady after them
_STEADY: Final = 25  # frames after them that it takes to tell: three chunks, or the last one's burst counts too much


class Timeline(Silent):
    """Notes when each frame was done."""

    def __init__(self) -> None:
        self._done: list[float] = []

    def advance(self) -> None:
        """See :class:`Progress`."""
        self._done.append(time.monotonic())

    @property
    def steady_fps(self) -> float | None:
        """Frames per second after the engine's first output; None for a clip that is too short to say."""
        later = self._done[_FIRST_OUTPUT - 1 :]
        return (len(later) - 1) / (later[-1] - later[0]) if len(later) >= _STEADY else None


@click.command()
@click.argument("source", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@click.option("--out", "folder", default=".demo", show_default=True, type=click.Path(path_type=Path))
@click.option("--scale", type=int, default=4, show_default=True, help="2, 3 or 4, for a video of your own.")
def demo(*, source: Path | None, folder: Path, scale: int) -> None:
    """Upscale a clip over a real server; INPUT is a video of your own in place of the demo's."""
    try:
        from flashvsr_client.compare import measure, tables
        from flashvsr_client.demo import clip, result
    except ImportError as error:
        raise click.ClickException(
            f"{error}: pip install './client[demo]' in the repository's folder, or `make setup`"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    small, ours, picture = source or folder / "input.mp4", folder / "upscaled.mp4", folder / "side_by_side.png"
    truth: Path | None = None
    if source is None:
        scale = clip.SCALE
        truth = folder / "truth.mp4"
        clip.write(small)
        clip.write_truth(truth)
        click.echo(f"input    {small}: {clip.FRAMES} frames of {clip.WIDTH // scale}x{clip.HEIGHT // scale}")
    else:
        probe(source)  # a bad input is told before a server is started for it
    report = _upscale(small, ours, scale, folder / "serve.log")
    middle = report.frames // 2
    if truth is not None:
        click.echo(f"quality  flashvsr compare {small} {ours} --reference {truth}")
        click.echo(tables.summary(measure.compare(small, ours, truth)))
    result.side_by_side(picture, small, ours, middle, truth)
    click.echo(f"picture  {picture}: frame {middle}")


def _upscale(small: Path, ours: Path, scale: int, log: Path) -> Report:
    timeline = Timeline()
    with server.running(log) as address, Client(address) as client:
        health = client.ping()[0]
        click.echo(f"server   {address}: {health.model} on {health.device}")
        report = client.upscale_file(small, ours, scale, encoding=Encoding(overwrite=True), progress=timeline)
    click.echo(f"output   {report}")
    if timeline.steady_fps is not None:
        click.echo(f"speed    {timeline.steady_fps:.2f} fps in steady state")
    return report


def main() -> None:
    """Run the demo and exit, with the codes of the `flashvsr` command."""
    try:
        demo.main(prog_name="demo", standalone_mode=False)
    except ClientError as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("demo: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()

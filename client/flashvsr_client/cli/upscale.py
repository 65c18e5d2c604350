"""`flashvsr upscale IN -o OUT`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from flashvsr_client.client import Client
from flashvsr_client.config import DEFAULT_SERVER, Encoding, LocalOptions
from flashvsr_client.progress import progress_on

_DEFAULTS = LocalOptions()


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", "target", metavar="OUT", required=True, type=click.Path(path_type=Path))
@click.option("--server", metavar="HOST:PORT", help=f"A flashvsr-serve.  [default: {DEFAULT_SERVER}]")
@click.option("--local", is_flag=True, help="Run the engine in this process, without a server.")
@click.option("--scale", type=int, default=4, show_default=True, help="2, 3 or 4.")
@click.option("-y", "--overwrite", is_flag=True, help="Overwrite an existing OUT.")
@click.option("--crf", type=int, default=18, show_default=True, help="Quality of the output, 0 (lossless) to 51.")
@click.option("--no-audio", is_flag=True, help="Leave the input's audio out.")
@click.option("--seed", type=int, help="Of the model's noise; the same seed gives the same output.")
@click.option("--weights", help=f"With --local: a weights folder.  [default: {_DEFAULTS.weights}]")
@click.option("--weights-version", help="With --local: 1.1 or 1.0, for a folder without a manifest.")
@click.option("--mode", help=f"With --local: the model's mode.  [default: {_DEFAULTS.mode}]")
@click.option("--device", help=f"With --local: cpu, cuda:0, ...  [default: {_DEFAULTS.device}]")
@click.option("--precision", help=f"With --local: fp32, bf16 or fp16.  [default: {_DEFAULTS.precision}]")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
def upscale(
    *,
    source: Path,
    target: Path,
    server: str | None,
    local: bool,
    scale: int,
    overwrite: bool,
    crf: int,
    no_audio: bool,
    seed: int | None,
    weights: str | None,
    weights_version: str | None,
    mode: str | None,
    device: str | None,
    precision: str | None,
    quiet: bool,
) -> None:
    """Upscale the video IN into OUT (.mp4, .mov or .mkv), with its frame times, colours and audio.

    The output is H.264 4:2:0; where a side of it is odd, which 4:2:0 cannot hold, it is 4:4:4, so that every pixel
    is kept.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    encoding = Encoding(crf=crf, audio=not no_audio, overwrite=overwrite)
    with _client(
        server,
        local=local,
        chosen=_given(weights=weights, version=weights_version, mode=mode, device=device, precision=precision),
    ) as client:
        with progress_on(sys.stderr, quiet=quiet) as progress:
            report = client.upscale_file(source, target, scale, seed=seed, encoding=encoding, progress=progress)
        if not quiet:
            click.echo(str(report), err=True)


def _client(server: str | None, *, local: bool, chosen: dict[str, str]) -> Client:
    if not local:
        if chosen:
            raise click.UsageError(f"{', '.join(sorted(chosen))}: the server chooses that; give it with --local only")
        return Client(server or DEFAULT_SERVER)
    if server is not None:
        raise click.UsageError("--local and --server exclude each other: give one of them")
    return Client.local(LocalOptions(**chosen))


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a job as Ctrl-C does: nothing is left behind."""
    raise KeyboardInterrupt

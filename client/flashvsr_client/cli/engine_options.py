"""The options of the engine in this process, in our spelling and in that of the community's tools.

`--tile-size 256` is also `--tile_size 256`; `--tiled-dit` is also `--tiled_dit True`. Which values are allowed the
engine says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Final

import click

from flashvsr_client.config import LocalOptions

_DEFAULTS: Final = LocalOptions()
_BOOLEANS: Final = frozenset(("true", "false", "1", "0", "yes", "no", "on", "off"))
_SWITCHES: Final = {
    "--tiled-dit": "Work in tiles of the picture.",
    "--tiled-vae": "Decode in bands of the picture.",
    "--unload-dit": "Keep the DiT's weights in host memory while decoding.",
    "--adaptive-batch-size": "As many tiles at once as fit.",
}


class UnderscoreCommand(click.Command):
    """A command whose long options may be written with underscores, and whose switches may be given a value."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """See `click.Command`."""
        return super().make_context(info_name, args, parent, **{"token_normalize_func": _dashed, **extra})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        return super().parse_args(ctx, list(_with_values(args)))


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each of `LocalOptions`, of the same name; None where it was not given."""
    options = [
        _option("--weights", "--model-dir", "weights", help="builtin, or a folder of weights.", metavar="DIR"),
        _option("--weights-version", "version", help="1.1 or 1.0, for a folder without a manifest."),
        _option("--mode", help="tiny, tiny-long or full."),
        _option("--device", help="cpu, cuda:0, ..."),
        _option("--precision", help="fp32, bf16 or fp16."),
        _option("--memory-limit", help="A size such as 8GiB, auto (what is free) or none.", metavar="SIZE"),
        *(
            _option(name, type=bool, help=f"{text} With or without true or false.", metavar="[BOOL]")
            for name, text in _SWITCHES.items()
        ),
        _option("--tile-size", type=int, help="32 to 1024 pixels of the input."),
        _option("--tile-overlap", type=int, help="8 to 512 pixels of the input, at most half of --tile-size."),
        _option("--color-fix", flag_value="true", help="adain (also true), wavelet or none (also false)."),
        _option("--sparse-ratio", type=float, help="1.5 (faster) to 2.0 (steadier)."),
        _option("--kv-ratio", type=float, help="1.0 (less memory) to 3.0: chunks of the past that are seen."),
        _option("--local-range", type=int, help="9 (sharper) or 11 (steadier)."),
        _option("--attention-mode", help="block_sparse_attention or sparse_sage_attention.", metavar="MODE"),
        _option("--attention-backend", help="Which implementation of it.", metavar="NAME"),
        _option("--cross-backend", help="Which implementation of attention to the prompt.", metavar="NAME"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _option(*names: str, help: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    field = names[-1].removeprefix("--").replace("-", "_")
    default = getattr(_DEFAULTS, field)
    default_text = "" if default is None else f"  [default: {str(default).lower()}]"
    return click.option(*names, is_flag=False, help=f"With --local: {help}{default_text}", **attributes)


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """Those of `LocalOptions` that were given."""
    names = {field.name for field in fields(LocalOptions)}
    return {name: value for name, value in options.items() if name in names and value is not None}


def _with_values(args: Sequence[str]) -> Iterator[str]:
    """Join switches and their values with "=": `--tiled_dit False`; a switch that has none gets true."""
    waiting = list(reversed(args))
    while waiting:
        word = waiting.pop()
        if word == "--":
            yield word
            yield from reversed(waiting)
            return
        if _dashed(word) not in _SWITCHES:
            yield word
        elif waiting and waiting[-1].lower() in _BOOLEANS:
            yield f"{word}={waiting.pop()}"
        else:
            yield f"{word}=true"


def _dashed(name: str) -> str:
    return name.replace("_", "-")

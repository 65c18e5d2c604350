"""The command's root, and the one boundary where this package's errors become a line on stderr and an exit code.

Built with argparse, which asks for no package: the engine keeps to what its arithmetic needs.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Final, NoReturn

from flashvsr_engine.cli import weights
from flashvsr_engine.errors import (
    EngineError,
    HubRefusedError,
    HubUnreachableError,
    MissingPackageError,
    StorageError,
    WeightsError,
)

EXIT_OK: Final = 0
EXIT_UNREAD: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_CODES: Final = (
    (HubRefusedError, 8),
    (WeightsError, 3),
    (StorageError, 4),
    (HubUnreachableError, 5),
    (MissingPackageError, 9),
    (EngineError, 1),
)
"""By the first kind that fits; the same numbers mean the same kinds of failure as those of `flashvsr`."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with one of `EXIT_CODES`, 0, 1 if nobody reads on, 2 for usage, or 130 after Ctrl-C."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command and give its exit code."""
    logging.getLogger("flashvsr_engine").setLevel(logging.ERROR)  # the commands say themselves what they concluded
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except EngineError as error:
        sys.stderr.write(f"flashvsr-engine: {' '.join(str(error).split())}\n")
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        sys.stderr.write("flashvsr-engine: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return EXIT_UNREAD
    return code


class _Parser(argparse.ArgumentParser):
    """One line for a usage error, as for any other."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"flashvsr-engine: {message}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="flashvsr-engine", description="The FlashVSR engine's own affairs.")
    groups = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    weights.add_commands(groups.add_parser("weights", help="fetch, verify, convert and describe weights"))
    return parser

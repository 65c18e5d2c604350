"""The command's root, and the one boundary where this package's errors become a line on stderr and an exit code.

Built with click: subcommands, types and help from one declaration, and nothing imported that a command does not need,
so that `flashvsr --help` answers at once.
"""

from __future__ import annotations

import os
import sys

import click

from flashvsr_client import __version__
from flashvsr_client.cli.compare import compare
from flashvsr_client.cli.doctor import doctor
from flashvsr_client.cli.jobs import clean, jobs, recover
from flashvsr_client.cli.ui import ui
from flashvsr_client.cli.upscale import upscale
from flashvsr_client.errors import EXIT_INTERRUPTED, EXIT_OK, ClientError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flashvsr")
def flashvsr() -> None:
    """Upscale video by streaming super-resolution."""


flashvsr.add_command(upscale)
for command in (ui, jobs, recover, clean, compare, doctor):
    flashvsr.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit; the codes are listed in `flashvsr_client.errors`."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command and give its exit code."""
    os.environ.setdefault("SVT_LOG", "1")  # errors alone: SVT-AV1 writes to stderr by itself and asks nobody else
    try:
        result = flashvsr.main(arguments, prog_name="flashvsr", standalone_mode=False)
    except ClientError as error:
        click.echo(f"flashvsr: {' '.join(str(error).split())}", err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(_line(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("flashvsr: interrupted; no output was written", err=True)
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else EXIT_OK


def _line(error: click.ClickException) -> str:
    """Put a usage error on one line; click's answer to a bare `flashvsr` is the help itself and stays as it is."""
    message = error.format_message()
    if "\n" in message:
        return message
    where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "flashvsr"
    return f"flashvsr: {message.rstrip('.')}; see `{where} --help`"

"""`flashvsr-engine weights`: fetch, verify, convert, info."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from flashvsr_engine.cli.info import describe
from flashvsr_engine.errors import MissingPackageError
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.weights import open_folder
from flashvsr_engine.weights.convert import convert
from flashvsr_engine.weights.published import RELEASES
from flashvsr_engine.weights.verify import verify

EXIT_DAMAGED = 3
VERSIONS = get_args(ProjectorVersion)


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Hang the commands under `weights`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=type(parser))
    _add_fetch(commands.add_parser("fetch", help="fetch the published weights and check them"))
    for name, told, run in (
        ("verify", "check sizes, SHA-256, values and shapes of all files", _verify),
        ("convert", "write a folder of safetensors", _convert),
        ("info", "sizes, version, memory", _info),
    ):
        command = commands.add_parser(name, help=told, description=told.capitalize() + ".")
        command.set_defaults(run=run)
        command.add_argument("folder", metavar="DIR", help="a weights folder in any known layout, or 'builtin'")
        command.add_argument("--version", choices=VERSIONS, help="of the weights, where the folder does not tell it")
        if name == "convert":
            command.add_argument("out", metavar="OUT", type=Path, help="a new folder")
            command.add_argument("--bf16", action="store_true", help="store in bfloat16; the prompt stays float32")


def _add_fetch(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_fetch)
    command.add_argument("--version", choices=VERSIONS, default="1.1", help="default: 1.1")
    command.add_argument("--dir", type=Path, help="default: models/FlashVSR-v1.1, or models/FlashVSR for 1.0")
    command.add_argument("--mode", choices=("tiny", "full"), default="full", help="tiny leaves out the VAE's 508 MB")
    command.add_argument("--revision", help="a branch or full commit in place of the pinned one")
    command.add_argument("--endpoint", metavar="URL", help="of the hub; default: HF_ENDPOINT, else the public one")
    command.add_argument("--prompt-url", metavar="URL", help="where posi_prompt.pth is to be had")


def _fetch(options: argparse.Namespace) -> int:
    try:
        from flashvsr_engine.weights.fetching.fetch import FetchOptions, fetch
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"Fetching needs the package {error.name}, which is not installed: pip install './engine[fetch]' in the "
            "folder of FlashVSR's repository."
        ) from error
    release = RELEASES[options.version]
    folder = options.dir or Path("models") / release.folder
    fetch_options = FetchOptions(
        mode=options.mode,
        revision=options.revision,
        endpoint=options.endpoint,
        prompt_url=options.prompt_url,
        say=_say,
    )
    fetch(release, folder, fetch_options)
    _say(f"{folder}: version {release.version}, complete")
    return 0


def _verify(options: argparse.Namespace) -> int:
    folder = open_folder(options.folder, options.version)
    _say(f"{folder.path}: version {folder.version}, since {folder.reason}")
    failed = 0
    for finding in verify(folder):
        if finding.problem is None:
            _say(f"ok      {finding.path.name}: {finding.size} bytes, {finding.told}")
        else:
            failed += 1
            _say(f"failed  {finding.problem}")
    _say(f"{failed} of {len(folder.paths)} files failed" if failed else f"all {len(folder.paths)} files are right")
    return EXIT_DAMAGED if failed else 0


def _convert(options: argparse.Namespace) -> int:
    manifest = convert(open_folder(options.folder, options.version), options.out, options.bf16)
    size = sum((options.out / name).stat().st_size for name in manifest.files.values())
    _say(f"{options.out}: version {manifest.version}, {len(manifest.files)} files, {size / 1e6:.1f} MB")
    return 0


def _info(options: argparse.Namespace) -> int:
    for line in describe(options.folder, options.version):
        _say(line)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

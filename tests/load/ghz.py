"""Where ghz is, how it gets here, and one run of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.load import slo

ROOT: Final = Path(__file__).resolve().parents[2]
INSTALLED: Final = ROOT / ".cache" / "ghz"
MODULE: Final = "github.com/bojand/ghz/cmd/ghz@latest"
HOW: Final = f"ghz is not here: put it on PATH, or Go, by which `make load` installs it (go install {MODULE})"
INSTALL_S: Final = 900.0
RUN_S: Final = 300.0


class GhzError(RuntimeError):
    """ghz is missing, or did not run; the text says what to do."""


def find() -> Path | None:
    """The executable on PATH, or the one installed before; None when there is none."""
    found = shutil.which("ghz", path=os.pathsep.join([os.environ.get("PATH", ""), str(INSTALLED)]))
    return Path(found) if found else None


def find_or_install() -> Path:
    """Build ghz with Go where it is not here yet. Raises :class:`GhzError`."""
    if (found := find()) is not None:
        return found
    if (go := shutil.which("go")) is None:
        raise GhzError(HOW)
    environment = os.environ | {"GOBIN": str(INSTALLED)}
    try:
        done = subprocess.run(
            [go, "install", MODULE], env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired as error:
        raise GhzError(f"go install took more than {INSTALL_S:g} s: {HOW}") from error
    if done.returncode != 0 or (found := find()) is None:
        raise GhzError(f"go install failed: {done.stderr.strip()[-500:]}")
    return found


def run(ghz: Path, scenario: Path, address: str, folder: Path, share: float) -> Any:
    """Run one scenario of the folder ``scenarios``; ``folder`` has protoset and data, and gets the result.

    ``share``: of the scenario's number of calls. Gives ghz's JSON. Raises :class:`GhzError`.
    """
    chosen = slo.read(scenario)
    data = folder / chosen.pop("data-file")
    chosen["total"] = max(chosen["concurrency"], round(chosen["total"] * share))
    config, result = folder / scenario.name, folder / f"{scenario.stem}.result.json"
    config.with_suffix(".config.json").write_text(json.dumps(chosen))
    command = [str(ghz), "--config", str(config.with_suffix(".config.json")), "--insecure"]
    command += ["--protoset", str(folder / "protoset"), "--data-file", str(data)]
    command += ["--format", "json", "--output", str(result), address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_S)
    except subprocess.TimeoutExpired as error:
        raise GhzError(f"{scenario.stem} took more than {RUN_S:g} s: is the server overloaded?") from error
    if done.returncode != 0:
        raise GhzError(f"ghz ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return slo.read(result)

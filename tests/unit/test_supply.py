"""What can be audited without a network: what we depend on, and that nothing received is run as code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("proto", "engine", "handler", "client")
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
PICKLE_ERRORS = {"engine/flashvsr_engine/weights/files.py"}
"""Imports pickle for the name of its error alone; checked below."""


def sources() -> Iterator[Path]:
    for room in ROOMS:
        for path in (ROOT / room / f"flashvsr_{room}").rglob("*.py"):
            if not path.stem.endswith(("_pb2", "_pb2_grpc")):
                yield path


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def given(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == name), None)


def test_nothing_that_is_received_is_run() -> None:
    paths = list(sources())
    assert len(paths) > 100
    for path in paths:
        check_source(path)


def check_source(path: Path) -> None:
    tree, name = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = {node.module or ""} if isinstance(node, ast.ImportFrom) else {alias.name for alias in node.names}
            assert not (modules & UNPICKLERS) or name in PICKLE_ERRORS, f"{name}:{node.lineno}"
    for function, call in calls(tree):
        where = f"{name}:{call.lineno}: {function}"
        assert function not in RUNS_CODE, where
        assert not function.startswith("pickle."), where
        assert function != "yaml.load", f"{where}: take safe_load"
        assert given(call, "shell") in (None, "False"), where
        assert given(call, "allow_pickle") in (None, "False"), where
        if function == "torch.load":
            assert given(call, "weights_only") == "True", where


def declared(room: str) -> list[str]:
    project = tomllib.loads((ROOT / room / "pyproject.toml").read_text())["project"]
    return [normal(re.match(r"[\w.-]+", entry)[0]) for entry in project["dependencies"]]  # type: ignore[index]


def normal(name: str) -> str:
    """As PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_has_a_version_that_was_tested() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    assert len(pinned) > 20
    for room in ROOMS:
        assert not set(declared(room)) - pinned - {f"flashvsr-{other}" for other in ROOMS}, room


def test_what_is_installed_fits_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def told() -> Iterator[tuple[Path, str]]:
    """Each ``pip install`` that a document or a message of ours tells somebody to type."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("integrations/**/*.md")]
    for path in [*documents, *sources(), *ROOT.glob("integrations/**/*.py")]:
        text = re.sub(r'"\s+f?"', "", path.read_text())  # a message that goes on in the next line
        for found in re.findall(r"pip install [^\n]*", text):
            yield path, found


def test_nobody_is_told_to_fetch_our_packages_from_an_index_that_does_not_have_them() -> None:
    commands = list(told())
    assert len(commands) > 20
    for path, command in commands:
        assert not re.match(r"pip install.*?[\s'\"]flashvsr-", command), f"{path.relative_to(ROOT)}: {command}"
        for room in re.findall(r"[\s']\./(\w+)", command):
            assert room in ROOMS, f"{path.relative_to(ROOT)}: {command}"

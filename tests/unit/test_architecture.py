"""The arrows between the packages, read from their imports; any other arrow fails."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "proto": set(),
    "engine": set(),
    "handler": {"flashvsr_proto", "flashvsr_engine"},
    "client": {"flashvsr_proto"},
}
EXCEPTIONS = {("client/flashvsr_client/transport/local.py", "flashvsr_engine")}
"""A local engine is an optional extra of the client, imported when it is asked for, in this one file."""
NO_TORCH = ["proto", "client", "handler/flashvsr_handler/sessions.py"]


def sources(room: str) -> list[Path]:
    path = ROOT / room
    return [path] if path.is_file() else sorted((path / f"flashvsr_{room}").rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Top-level package of everything that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name.split(".")[0], node
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports absolutely"
            yield (node.module or "").split(".")[0], node


@pytest.mark.parametrize("room", ALLOWED)
def test_packages_import_along_the_arrows_only(room: str) -> None:
    files = sources(room)
    assert files
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        for package, node in imports(path):
            if package.startswith("flashvsr_") and package != f"flashvsr_{room}":
                allowed = package in ALLOWED[room] or (name, package) in EXCEPTIONS
                assert allowed, f"{name}:{node.lineno} imports {package}"


@pytest.mark.parametrize("room", NO_TORCH)
def test_no_torch_here(room: str) -> None:
    files = sources(room)
    assert files
    for path in files:
        assert "torch" not in {package for package, _ in imports(path)}, path


def test_the_local_engine_is_imported_lazily() -> None:
    for name, package in EXCEPTIONS:
        tree = ast.parse((ROOT / name).read_text())
        eager = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
        assert not [node for node in eager if (node.module or "").startswith(package)]


def test_faces_of_other_programs_stand_on_the_client_alone() -> None:
    """They may name a type of the engine for the type checker, and import nothing of it."""
    files = sorted((ROOT / "integrations").rglob("*.py"))
    assert files
    for path in files:
        tree = ast.parse(path.read_text())
        checked = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                packages = [name.name.split(".")[0] for name in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:  # the program chooses what the folder is called
                packages = [(node.module or "").split(".")[0]]
            else:
                continue
            ours = {package for package in packages if package.startswith("flashvsr_")} - {"flashvsr_client"}
            assert not ours or id(node) in checked, f"{path}:{node.lineno} imports {ours}"


def test_rooms_are_no_packages() -> None:
    """`proto/__init__.py` would shadow another package of that name."""
    assert not [room for room in ALLOWED if (ROOT / room / "__init__.py").exists()]


def test_only_the_entry_knows_torchserve() -> None:
    knowing = {
        path.relative_to(ROOT).as_posix()
        for room in ALLOWED
        for path in sources(room)
        if "ts" in {package for package, _ in imports(path)}
    }
    assert knowing <= {"handler/flashvsr_handler/entry.py"}

"""The model as TorchServe takes it: a directory, or the same in one .mar file. No code and no weights are in it.

``python -m flashvsr_handler.archive model_store/flashvsr.mar`` makes the file; the handler is imported from the
installed package, so the archive fits any version of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

import yaml

CONFIG: Final = "model-config.yaml"
MANIFEST: Final = "MAR-INF/MANIFEST.json"
CREATED: Final = "01/01/1980 00:00:00"
"""TorchServe wants a date; a fixed one makes the same archive from the same package."""


def default_config() -> dict[str, Any]:
    """Read the packaged model-config.yaml."""
    config: dict[str, Any] = yaml.safe_load(resource(CONFIG))
    return config


def resource(name: str) -> str:
    """Read a text file of this package."""
    return resources.files("flashvsr_handler").joinpath(name).read_text(encoding="utf-8")


def manifest(model_name: str) -> str:
    """Write the manifest of a model of that name, as JSON."""
    model = {
        "modelName": model_name,
        "modelVersion": metadata.version("flashvsr-handler"),
        "handler": "flashvsr_handler.entry",
        "configFile": CONFIG,
    }
    return (
        json.dumps({"runtime": "python", "createdOn": CREATED, "archiverVersion": "0.12.0", "model": model}, indent=2)
        + "\n"
    )


def write_directory(folder: Path, config: Mapping[str, Any]) -> None:
    """Make a model directory, named as the model, with that configuration."""
    (folder / MANIFEST).parent.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest(folder.name), encoding="utf-8")
    (folder / CONFIG).write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")


def write_archive(path: Path) -> None:
    """Make a .mar file with the packaged configuration, which an operator may edit in the file or override."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ((MANIFEST, manifest(path.stem)), (CONFIG, resource(CONFIG))):
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), text)


def main() -> int:
    """Write the archive that the command line names."""
    parser = argparse.ArgumentParser(description="write the TorchServe model archive")
    parser.add_argument("path", type=Path, help="such as model_store/flashvsr.mar")
    path: Path = parser.parse_args().path
    write_archive(path)
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

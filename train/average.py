"""The mean of two weights folders of one network: python -m train.average FIRST SECOND --out FOLDER.

Weights half-way between a run and another that went on from it keep most of what each is good at (Wortsman et al.,
"Robust fine-tuning of zero-shot models", 2022).
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

from flashvsr_engine.weights import load_network, read_manifest
from safetensors.torch import load_file, save_file


def average(first: Path, second: Path, out: Path, share: float) -> None:
    """Write (1 - share) * first + share * second in float16. WeightsError for folders that do not load."""
    for folder in (first, second):
        load_network(folder)
    manifest = read_manifest(first)
    out.mkdir(parents=True, exist_ok=True)
    digests = {}
    for file in manifest.files.values():
        one, two = load_file(first / file), load_file(second / file)
        mean = {name: (one[name].float() * (1 - share) + two[name].float() * share).half() for name in one}
        save_file({name: value.contiguous() for name, value in mean.items()}, out / file)
        (out / file).chmod(0o644)
        digests[file] = hashlib.sha256((out / file).read_bytes()).hexdigest()
    replace(manifest, sha256=digests).write(out)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.average", description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    average(options.first, options.second, options.out, options.share)


if __name__ == "__main__":
    main()

"""Write the model card from an evaluation and the table of sources: python -m train.card --help."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from train.sources import Photograph, Split, read_sources, split
from train.tables import Evaluation, scores_table

TEMPLATE = Path(__file__).with_name("MODEL_CARD.template.md")


Log = list[dict[str, Any]]


def model_card(template: str, logs: list[Log], evaluations: list[Evaluation], data: Split) -> str:
    """Fill the template. ValueError if a log is not that of a finished run."""
    values = {
        "runs": "\n".join(f"{number}. {_run(log)}" for number, log in enumerate(logs, 1)),
        "precision": evaluations[0]["precision"],
        "table": scores_table(evaluations).strip(),
        "photographs": str(len(data.training)),
        "held_out": str(len({p.source_id for p in data.held_out})),
        "licences": licences(data.training),
        "sources": credits(data.training),
    }
    return template.format(**values)


def _run(log: Log) -> str:
    if not log or not log[-1].get("done"):
        raise ValueError(
            "the log does not end with a finished run; give the log.jsonl of the run that made the weights."
        )
    seen = log[-2]
    return (
        f"{seen['clips']:,} clips in {log[-1]['step']:,} steps, {log[-1]['seconds'] / 60:.1f} minutes on "
        f"{log[0].get('device', 'unknown')}; at its end {seen['to_bicubic']:.3f} of bicubic interpolation's loss."
    )


def licences(photographs: tuple[Photograph, ...]) -> str:
    """How many photographs each licence covers, as a Markdown table."""
    counts: dict[str, int] = defaultdict(int)
    for photograph in photographs:
        counts[_licence(photograph.licence)] += 1
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join(["| licence | photographs |", "| --- | ---: |", *(f"| {name} | {n} |" for name, n in rows)])


def credits(photographs: tuple[Photograph, ...]) -> str:
    """Every source once, by the repository it was found in: title, author, licence."""
    by_repo: dict[str, dict[str, str]] = defaultdict(dict)
    for p in photographs:
        by_repo[p.repo][p.source_id] = f"  - {Path(p.path).name}: {' '.join(p.author.split())}. {_licence(p.licence)}"
    lines = []
    for repo in sorted(by_repo):
        lines += [f"- {repo}", *by_repo[repo].values()]
    return "\n".join(lines)


def _licence(stated: str) -> str:
    """One spelling for each licence; what the table adds about how it is known is left to the table."""
    name = stated.split(" (Unsplash")[0].split(" as labelled")[0].strip()
    if name.lower().startswith("public domain / cc0") or name in ("CC0", "CC0 1.0", "CC0-1.0"):
        return "CC0-1.0" if name.startswith("CC0") else "public domain or CC0-1.0"
    if name.lower() == "public domain":
        return "public domain"
    return name.replace("CC-BY-SA ", "CC-BY-SA-")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.card", description=__doc__)
    parser.add_argument("--log", type=Path, required=True, nargs="+", help="log.jsonl of each training run, in order")
    parser.add_argument("--evaluation", type=Path, required=True, nargs="+", help="as train.evaluate writes them")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs; SOURCES.csv in or above it")
    parser.add_argument("--held-out", type=int, default=20, help="as in the training's configuration")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    logs = [[json.loads(line) for line in path.read_text().splitlines()] for path in options.log]
    data = split(read_sources(options.photos), options.held_out)
    evaluations = [json.loads(path.read_text()) for path in options.evaluation]
    options.out.write_text(model_card(TEMPLATE.read_text(), logs, evaluations, data))


if __name__ == "__main__":
    main()

"""Random faults for an hour, under load, and what must hold after each.

    nice python -m bench.chaos --minutes 60 --seed 7 --write

starts a flashvsr-serve whose engine gives each frame back, enlarged, keeps it running as a service manager does, and
upscales through the client: films over the direct plane and over TorchServe, as fast as they go and live, and files in
segments by the command. Every few seconds a fault is drawn: processes killed, stopped, restarted, the disk full, the
device broken, clients that vanish, half-close, send rubbish, read slowly, take every session. After each fault the time
until a new session gives frames is taken, then the load rests and all must be as before: every film whole, each frame
once and the right one, opened == closed + expired + lost + active, no byte, thread or descriptor left over. The exit
code is 1 when anything of that did not hold; --write puts the table into bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.chaos.run import READY_S, Outcome, run
from bench.engine import commit
from bench.faults import RESULTS, replaced
from tests.load.slo import percentile

TITLE: Final = "## Random faults"


def main() -> int:
    """Parse the options, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=60.0)
    add("--seed", type=int, default=0, help="of the order of the faults and of what each does")
    add("--only", default="", help="faults by name, with commas between")
    add("--log", type=Path, help="a line for each fault; the server's own log lies beside it (default: stderr)")
    add("--note", default="", help="a sentence for the report, such as what else the machine did")
    add("--write", action="store_true", help="into bench/RESULTS.md")
    options = parser.parse_args()
    with ExitStack() as stack:
        log = stack.enter_context(options.log.open("w")) if options.log else sys.stderr
        folder = options.log.parent if options.log else Path(stack.enter_context(TemporaryDirectory()))
        only = tuple(filter(None, options.only.split(",")))
        outcome = run(options.minutes, options.seed, folder, log, only)
        for name, count in sorted(outcome.tally.counts.items()):
            print(f"{name}: {count}", file=log, flush=True)
    section = "\n".join(report(outcome, options.seed, options.note))
    print(section)
    if options.write:
        RESULTS.write_text(replaced(RESULTS.read_text(), section))
    return 1 if outcome.tally.violations else 0


def report(outcome: Outcome, seed: int, note: str) -> Iterator[str]:
    """Lines of the section."""
    minutes = outcome.seconds / 60
    yield f"{TITLE}\n"
    yield f"`python -m bench.chaos --minutes {minutes:.0f} --seed {seed}` (commit {commit()}). {note}".rstrip() + "\n"
    yield _summary(outcome, minutes) + "\n"
    yield from _table(outcome.recoveries)
    yield ""
    for part, grown in sorted(outcome.grown.items()):
        longest, mib = max(grown)
        yield f"The {part} that lived longest grew by {mib:+.1f} MiB in its {longest:.1f} minutes after the first rest."
    violations = outcome.tally.violations
    yield f"\nWhat did not hold: {len(violations)}." + "".join(f"\n- {line}" for line in violations) + "\n"


def _summary(outcome: Outcome, minutes: float) -> str:
    counts = outcome.tally.counts
    return (
        f"{counts['faults']} faults in {minutes:.0f} minutes, over {outcome.starts} starts of the server. Finished "
        f"meanwhile: {counts['films']} films and {counts['jobs']} files in segments, {counts['frames']} frames, each "
        f"checked; {counts['sessions_replaced']} times a session was lost in a film and replaced by the client, "
        f"{counts['jobs_resumed']} times a job ended early and was resumed, {counts['opens_refused']} times an open "
        f"was refused and asked for again. The longest silence in a film was {outcome.tally.longest_gap_s:.1f} s. "
        f"{counts['rests']} times the load rested and the books were read. Recovery is from the end of the fault to "
        f"the frames of a new session; the bound was {READY_S:g} s."
    )


def _table(recoveries: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| fault | times | recovery s, median | p95 | worst |\n| --- | ---: | ---: | ---: | ---: |"
    every = [value for seconds in recoveries.values() for value in seconds]
    for name, seconds in [*sorted(recoveries.items()), ("all", every)]:
        if seconds:
            figures = (percentile(seconds, 50), percentile(seconds, 95), max(seconds))
            yield f"| {name} | {len(seconds)} | {' | '.join(f'{value:.1f}' for value in figures)} |"


if __name__ == "__main__":
    sys.exit(main())

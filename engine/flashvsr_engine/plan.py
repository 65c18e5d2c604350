"""What a stream will take, said before anything is allocated, and the steps that make it fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from flashvsr_engine.errors import ConfigError
from flashvsr_engine.footprint import Footprint
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.memory import format_bytes
from flashvsr_engine.schedule import CHUNK, FIRST_CHUNK, LOOK_AHEAD
from flashvsr_engine.steps import LADDER, Rung, Steps

Measure = Callable[[Steps], Footprint]

MAX_GRAPH_WORK = 4 << 30
"""Bytes. What a chunk works in beyond that takes the device longer than the host, and recorded it is held twice."""


@dataclass(frozen=True, slots=True)
class PlannedRung:
    """One step of the ladder: the peak with it and all before it, and whether the plan takes it."""

    name: str
    exact: bool
    peak_bytes: int
    taken: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes in pixels, frames and bytes of one stream. `print(plan)` shows the ladder.

    first_chunk: frames wanted before the first output; chunk: frames for each later one; look_ahead: by how many
    frames output trails input. state_bytes: what the session holds on the device between calls; host_bytes: what of
    it lies in host memory. peak_bytes: memory of the device in use at most, weights included; weight_bytes: theirs.
    graph_bytes: what recorded chunks of all streams may hold beside that, 0 where none are recorded.
    limit_bytes: the budget, if there is one. steps: how the work is divided; ladder: what else was considered.
    local_range: the one in force. tiles: how many the DiT works in.
    """

    width: int
    height: int
    scale: int
    out_width: int
    out_height: int
    padded_width: int
    padded_height: int
    first_chunk: int
    chunk: int
    look_ahead: int
    local_range: int
    tiles: int
    state_bytes: int
    host_bytes: int
    peak_bytes: int
    weight_bytes: int
    graph_bytes: int
    limit_bytes: int | None
    steps: Steps
    ladder: tuple[PlannedRung, ...]

    @property
    def exact(self) -> bool:
        """Whether the picture is that of the plain run."""
        return not any(rung.taken and not rung.exact for rung in self.ladder)

    def __str__(self) -> str:
        limit = "none" if self.limit_bytes is None else format_bytes(self.limit_bytes)
        lines = [
            f"{self.width}x{self.height} -> {self.out_width}x{self.out_height}, peak {format_bytes(self.peak_bytes)}"
            f" (weights {format_bytes(self.weight_bytes)}, state {format_bytes(self.state_bytes)}), limit {limit}"
        ]
        for rung in self.ladder:
            kind = "same picture" if rung.exact else "changes the picture"
            mark = "taken" if rung.taken else "-"
            lines.append(f"  {mark:5}  {format_bytes(rung.peak_bytes):>12}  {rung.name} ({kind})")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Choice:
    """The steps that fit, what they take, and the ladder as it was looked at."""

    steps: Steps
    footprint: Footprint
    ladder: tuple[PlannedRung, ...]


def choose(base: Steps, limit: int | None, measure: Measure, ladder: tuple[Rung, ...], subject: str) -> Choice:
    """The cheapest steps of the ladder, beyond those that are wanted anyway, with which a stream fits the limit.

    Steps are taken from the front until the stream fits; then those that turn out not to be needed are given back,
    the dearest first. ConfigError when nothing fits; it says what is the least, and which step saves most.
    """
    plain = measure(base)
    if limit is None or plain.peak <= limit:
        return Choice(base, plain, ())
    steps, tried, peaks = base, list[Rung](), [plain.peak]
    for rung in ladder:
        steps = rung.applied(steps)
        tried.append(rung)
        peaks.append(measure(steps).peak)
        if peaks[-1] <= limit:
            break
    else:
        raise ConfigError(_nothing_fits(subject, limit, tried, peaks))
    needed = _pruned(base, tried, lambda steps: measure(steps).peak <= limit)
    steps = _applied(base, needed)
    planned = tuple(
        PlannedRung(rung.name, rung.exact, peak, rung in needed) for rung, peak in zip(tried, peaks[1:], strict=True)
    )
    return Choice(steps, measure(steps), planned)


def largest_batch(steps: Steps, tiles: int, fits: Callable[[Steps], bool]) -> Steps:
    """The steps with as many tiles at once as fit: halves of all tiles, down to one."""
    size = tiles
    while size > 1:
        candidate = replace(steps, tile_batch=size)
        if fits(candidate):
            return candidate
        size = -(-size // 2)
    return replace(steps, tile_batch=1)


def make_plan(
    geometry: Geometry,
    choice: Choice,
    local_range: int,
    tiles: int,
    weight_bytes: int,
    limit: int | None,
    records: bool,
) -> Plan:
    """Put a plan together. records: whether chunks are to be recorded as CUDA graphs, where that is worth it."""
    work = choice.footprint.peak - weight_bytes - choice.footprint.state
    worth = records and choice.steps.plain and work <= MAX_GRAPH_WORK
    fits = limit is None or choice.footprint.peak + work <= limit
    return Plan(
        width=geometry.width,
        height=geometry.height,
        scale=geometry.scale,
        out_width=geometry.out_width,
        out_height=geometry.out_height,
        padded_width=geometry.padded_width,
        padded_height=geometry.padded_height,
        first_chunk=FIRST_CHUNK,
        chunk=CHUNK,
        look_ahead=LOOK_AHEAD,
        local_range=local_range,
        tiles=tiles,
        state_bytes=choice.footprint.state,
        host_bytes=choice.footprint.host,
        peak_bytes=choice.footprint.peak,
        weight_bytes=weight_bytes,
        graph_bytes=work if worth and fits else 0,
        limit_bytes=limit,
        steps=choice.steps,
        ladder=choice.ladder,
    )


def rungs_for(device_type: str) -> tuple[Rung, ...]:
    """The ladder of a device: without a host beside it, nothing can be moved there."""
    return tuple(rung for rung in LADDER if device_type != "cpu" or not rung.needs_device)


def _applied(base: Steps, rungs: list[Rung]) -> Steps:
    for rung in rungs:
        base = rung.applied(base)
    return base


def _pruned(base: Steps, rungs: list[Rung], fits: Callable[[Steps], bool]) -> list[Rung]:
    needed = list(rungs)
    for rung in reversed(rungs[:-1]):  # the last one is what made it fit
        without = [other for other in needed if other is not rung]
        if fits(_applied(base, without)):
            needed = without
    return needed


def _nothing_fits(subject: str, limit: int, tried: list[Rung], peaks: list[int]) -> str:
    least = min(peaks)
    saved = [before - after for before, after in pairwise(peaks)]
    most = max(range(len(saved)), key=saved.__getitem__)
    return (
        f"memory_limit is {format_bytes(limit)}; {subject} needs at least {format_bytes(least)} even with every step"
        f" taken, of which '{tried[most].name}' saves most ({format_bytes(saved[most])}): allow that much,"
        f" or choose a smaller scale or picture."
    )

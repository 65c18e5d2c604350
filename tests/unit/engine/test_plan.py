from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flashvsr_engine import ConfigError, FlashVSREngine, Session, planner
from flashvsr_engine.feed import Feed
from flashvsr_engine.footprint import CPU_OVERHEAD, Footprint
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.live import LiveBytes
from flashvsr_engine.memory import format_bytes, parse_bytes
from flashvsr_engine.noise import CounterNoise
from flashvsr_engine.plan import choose, largest_batch
from flashvsr_engine.steps import LADDER, Rung, Steps
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.networks import load
from tests.unit.engine.test_session import Video, run, video

MIB = 1 << 20
ROUNDING = 1e-4
"""A decoder that works in bands has other strips, which oneDNN sums in another order with two threads than with one;
the division by a frame's deviation in the colour correction makes that 5e-5, a hundredth of a byte's step."""
PLAIN = Steps(decode_latents=1)
"""As an engine on a CPU works when it may take all the memory that it wants."""
EXACT = [rung for rung in LADDER if rung.exact and not rung.needs_device]


def session(engine: FlashVSREngine, width: int, height: int, steps: Steps) -> Session:
    geometry = Geometry(width, height, engine.config.scale)
    stream = engine._streams.stream(geometry, steps, CounterNoise(0), "float")
    return Session(Feed(stream, engine._streams.state(stream), None), "")


def measured(engine: FlashVSREngine, frames: Video, steps: Steps) -> tuple[int, Video]:
    """What a process needs for the bytes that were alive at most while a real stream ran; and what it made."""
    _, height, width, _ = frames.shape
    stream = session(engine, width, height, steps)
    live = LiveBytes()
    live.know([*stream.feed.stream.tensors(), *stream.state.kv.tensors()])
    live.add(engine._planner._weights() + stream.state.kv.device_bytes)
    made = []
    for part in (frames[:25], frames[25:33], frames[33:]):
        with live:
            made.append(stream.push(part))
    weights = engine._planner._weights()
    return weights + int(CPU_OVERHEAD * (live.peak - weights)), np.concatenate(made)


@pytest.fixture(scope="module")
def plain(engine: FlashVSREngine) -> tuple[Video, int, Video]:
    frames = video(41, 96, 160)
    return (frames, *measured(engine, frames, PLAIN))


@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: rung.name)
def test_peaks_are_what_a_run_takes(engine: FlashVSREngine, plain: tuple[Video, int, Video], rung: Rung) -> None:
    """Each step by itself: the planned peak is the real one, and an exact step leaves the picture as it is."""
    steps = rung.applied(PLAIN)
    frames, _, expected = plain
    found, made = measured(engine, frames, steps)
    planned = engine._planner._footprint(Geometry(160, 96, 2), steps).peak
    assert abs(planned - found) < 0.1 * found
    worst = np.abs(made - expected).max()
    if rung.exact or rung.change == {"tile_size": 256}:  # which is the whole picture here
        assert worst <= (ROUNDING if "decoder_bands" in rung.change else 0)
    else:
        assert worst > 0


def test_all_exact_steps_together_change_no_bit(engine: FlashVSREngine, plain: tuple[Video, int, Video]) -> None:
    steps = PLAIN
    for rung in EXACT:
        steps = rung.applied(steps)
    frames, most, expected = plain
    found, made = measured(engine, frames, steps)
    assert np.abs(made - expected).max() <= ROUNDING
    assert found < 0.75 * most


def test_a_budget_is_kept_without_changing_the_picture(weights: Path, engine: FlashVSREngine) -> None:
    frames = video(30, 96, 160)
    free = engine.plan(160, 96)
    assert free.ladder == ()
    assert free.exact
    limit = int(free.peak_bytes * 0.8)
    tight = load(weights, memory_limit=limit)
    plan = tight.plan(160, 96)
    assert plan.peak_bytes <= limit
    assert plan.exact
    assert any(rung.taken for rung in plan.ladder)
    assert np.array_equal(run(tight, frames, []), run(engine, frames, []))
    text = str(plan)
    for rung in plan.ladder:
        assert rung.name in text
        assert format_bytes(rung.peak_bytes) in text


def test_what_fits_nowhere_is_refused_with_the_least(weights: Path) -> None:
    engine = load(weights, memory_limit="1MiB")
    with pytest.raises(ConfigError, match=r"needs at least .* of which '.*' saves most") as raised:
        engine.open(32, 24)
    least = re.search(r"at least ([0-9.]+ \w+)", str(raised.value))
    assert least is not None
    allowed = parse_bytes(least[1]) + MIB // 64  # the text is rounded
    assert load(weights, memory_limit=allowed).plan(32, 24).peak_bytes <= allowed


def test_nothing_is_allocated(engine: FlashVSREngine) -> None:
    plan = engine.plan(2000, 2000)
    assert plan.state_bytes > 1 << 29
    assert plan.peak_bytes > plan.state_bytes


@given(st.lists(st.integers(1, 50), min_size=len(LADDER), max_size=len(LADDER)), st.integers(1, 700))
def test_the_cheapest_steps_that_fit(savings: list[int], limit: int) -> None:
    """With steps that each save a given amount: the choice fits, and none of its steps could be left out."""

    def measure(steps: Steps) -> Footprint:
        saved = sum(saving for rung, saving in zip(LADDER, savings, strict=True) if rung.applied(steps) == steps)
        return Footprint(1, 0, 700 - saved)

    everything = Steps()
    for rung in LADDER:
        everything = rung.applied(everything)
    if measure(everything).peak > limit:
        with pytest.raises(ConfigError, match="needs at least"):
            choose(Steps(), limit, measure, LADDER, "it")
        return
    choice = choose(Steps(), limit, measure, LADDER, "it")
    assert choice.footprint.peak <= limit
    taken = [rung.name for rung in choice.ladder if rung.taken]
    for left_out in taken:
        steps = Steps()
        for rung in LADDER:
            if rung.name in taken and rung.name != left_out:
                steps = rung.applied(steps)
        assert measure(steps).peak > limit


@given(st.integers(1, 40), st.integers(0, 40))
def test_the_largest_batch_that_fits(tiles: int, most: int) -> None:
    size = largest_batch(Steps(), tiles, lambda steps: steps.tile_batch <= most).tile_batch
    assert size == 1 or size <= most
    assert size * 2 + 1 > min(most, tiles) or size == tiles


def test_a_step_never_takes_another_back() -> None:
    far = Steps(part_tokens=512, decoder_bands=16, projector_bands=16, tile_size=32, kv_bits=8, decode_latents=1)
    for rung in LADDER:
        after = rung.applied(far)
        assert (after.part_tokens, after.decoder_bands, after.tile_size) == (512, 16, 32)
    assert replace(Steps(), kv_bits=8) == next(r for r in LADDER if "8 bits" in r.name).applied(Steps())


def test_what_is_remembered_of_sizes_does_not_grow_with_their_number(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "MOST_KEPT", 4)
    planning = load(weights, memory_limit=None)._planner
    sizes = [Geometry(width, 32, 2) for width in (32, 64, 96, 128, 160)]
    plans = [planning.plan(size) for size in sizes]
    assert len(planning._first) + len(planning._second) < 4 + 2
    assert planning.plan(sizes[0]) == plans[0], "what was forgotten is found out again"


@pytest.mark.parametrize(
    ("text", "count"),
    [("8GiB", 8 << 30), ("8 gb", 8 * 10**9), ("1.5MiB", 3 << 19), ("800MB", 800 * 10**6), (12345, 12345), ("7b", 7)],
)
def test_sizes_are_read(text: str | int, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "much", "8XiB", "-1", "0", "8ib"])
def test_other_words_are_no_size(weights: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"memory_limit is .* allowed: a size such as 8GiB"):
        load(weights, memory_limit=text)


def test_tiles_run_in_batches_of_any_size(weights: Path, engine: FlashVSREngine) -> None:
    options = {"tiled_dit": True, "tile_size": 64, "tile_overlap": 16}
    frames = video(33, 96, 160)
    one = run(load(weights, **options), frames, [])
    many = load(weights, **options, adaptive_batch_size=True)
    assert many.plan(160, 96).tiles == 12
    assert many.plan(160, 96).steps.tile_batch == 12
    assert np.array_equal(run(many, frames, []), one)


def test_a_batch_is_lowered_when_memory_runs_out(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"tiled_dit": True, "tile_size": 64, "tile_overlap": 16, "adaptive_batch_size": True}
    engine, frames = load(weights, **options), video(33, 96, 160)
    expected = run(engine, frames, [])
    forward, sizes = type(engine._network.dit).forward, []

    def failing(self, noise, *rest):  # type: ignore[no-untyped-def]
        sizes.append(len(noise))
        if len(noise) > 2:
            raise torch.OutOfMemoryError("no room")
        return forward(self, noise, *rest)

    session = engine.open(160, 96)
    monkeypatch.setattr(type(engine._network.dit), "forward", failing)
    made = [session.push(frames), session.finish()]
    assert np.array_equal(np.concatenate(made), expected)
    assert sizes[:5] == [12, 6, 3, 1, 1]

"""Sessions that are lost in mid-stream and replaced: no frame is lost, doubled or frozen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from flashvsr_client import Client, RetryPolicy, Segmentation, ServerBusyError, ServerError, SessionLostError
from flashvsr_client.chunks import Frame
from flashvsr_client.testing import Fault, MockTransport
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = RetryPolicy(attempts=5, first_delay=0.001, max_delay=0.001)


def film(count: int) -> Iterator[Frame]:
    for index in range(count):
        yield np.full((16, 16, 3), index % 251, np.uint8)


def numbers(transport: MockTransport, count: int, cut: Segmentation | None = None) -> tuple[list[int], list[str]]:
    client = Client(transport=transport)
    with client.open_session(16, 16, scale=2, segmentation=cut, retry=QUICK) as session:
        return [int(frame[0, 0, 0]) for frame in session.upscale(film(count))], list(session.notes)


faults = st.lists(st.builds(Fault, st.just(SessionLostError("gone")), st.integers(26, 200)), max_size=4)
cuts = st.builds(Segmentation, st.none(), st.integers(0, 12), st.integers(0, 50))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 250), faults, cuts)
def test_every_frame_comes_out_once_however_often_sessions_are_lost(
    count: int, lost: list[Fault], cut: Segmentation
) -> None:
    transport = MockTransport(faults=lost)
    given_back, notes = numbers(transport, count, cut)
    assert given_back == [index % 251 for index in range(count)]
    assert transport.opened == transport.closed == 1 + len(notes)
    assert all(place % 8 == 0 for place in transport.places)


def test_the_next_session_begins_a_warm_up_before_the_loss() -> None:
    transport = MockTransport(faults=[Fault(SessionLostError("the worker died"), after=105)])
    given_back, notes = numbers(transport, 150, Segmentation(overlap=4, warm_up=24))
    assert given_back == list(range(150))
    given = 21 + 8 * 9 - 4  # what came out before the 105th frame went in, less what is held back
    assert transport.places == [0, (given - 24) // 8 * 8]
    assert notes == [f"session lost after frame {given} (the worker died); opened again with the frames before it"]


class Tinted(MockTransport):
    """Each session gives another brightness."""

    def open(self, spec):  # type: ignore[no-untyped-def]
        stream = super().open(spec)
        run, tint = stream._run, 40 * (self.opened - 1)
        stream._run = lambda call: (frames + np.uint8(tint) for frames in run(call))  # type: ignore[method-assign]
        return stream


def test_the_new_session_fades_in() -> None:
    client = Client(transport=Tinted(faults=[Fault(SessionLostError("gone"), after=60)]))
    still = (np.full((16, 16, 3), 100, np.uint8) for _ in range(100))
    with client.open_session(16, 16, scale=2, segmentation=Segmentation(overlap=4), retry=QUICK) as session:
        levels = [int(frame[0, 0, 0]) for frame in session.upscale(still)]
    assert levels == [100] * 49 + [108, 116, 124, 132] + [140] * 47


def test_sessions_that_are_lost_again_and_again_end_the_stream() -> None:
    transport = MockTransport(error=SessionLostError("gone for good"), error_after=80)
    with pytest.raises(SessionLostError, match="gone for good"):
        numbers(transport, 250, Segmentation(warm_up=100))
    assert transport.opened == transport.closed


def test_a_busy_server_is_waited_for_after_a_loss() -> None:
    class Full(MockTransport):
        def open(self, spec):  # type: ignore[no-untyped-def]
            if self.opened == 1 and not self.refused:
                self.refused = True
                raise ServerBusyError("full")
            return super().open(spec)

        refused = False

    transport = Full(faults=[Fault(SessionLostError("gone"), after=60)])
    assert numbers(transport, 90)[0] == list(range(90))
    assert transport.refused


def test_other_errors_end_the_stream_at_once() -> None:
    transport = MockTransport(faults=[Fault(ServerError("a bug"), after=60)])
    with pytest.raises(ServerError, match="a bug"):
        numbers(transport, 100)
    assert transport.opened == 1

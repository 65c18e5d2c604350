from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from flashvsr_client import Client, InputError, ServerError, StreamClosedError, UsageError
from flashvsr_client.chunks import Frame
from flashvsr_client.testing import MockTransport
from hypothesis import given, settings
from hypothesis import strategies as st


def numbered(count: int) -> Iterator[Frame]:
    return (np.full((16, 17, 3), index % 256, np.uint8) for index in range(count))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 90), st.sampled_from([2, 3, 4]))
def test_every_frame_comes_back_once_in_order_and_scaled(count: int, scale: int) -> None:
    transport = MockTransport()
    with Client(transport=transport) as client, client.open_session(17, 16, scale=scale) as session:
        got = list(session.upscale(numbered(count)))
    assert [int(frame[0, 0, 0]) for frame in got] == [index % 256 for index in range(count)]
    assert all(frame.shape == (16 * scale, 17 * scale, 3) for frame in got)
    assert transport.opened == transport.closed == 1


def test_output_begins_before_the_input_ends() -> None:
    seen = threading.Event()

    def endless_until_seen() -> Iterator[Frame]:
        yield from numbered(33)
        assert seen.wait(10), "the first output waits for the end of the input"
        yield from numbered(1)

    with Client(transport=MockTransport()) as client, client.open_session(17, 16) as session:
        upscaled = session.upscale(endless_until_seen())
        next(upscaled)
        seen.set()
        assert len(list(upscaled)) == 33


def test_an_error_of_the_source_ends_the_stream_and_is_the_one_raised() -> None:
    def broken() -> Iterator[Frame]:
        yield from numbered(30)
        raise OSError("the camera is gone")

    transport = MockTransport()
    with Client(transport=transport) as client, client.open_session(17, 16) as session:
        with pytest.raises(OSError, match="camera"):
            list(session.upscale(broken()))
        assert transport.closed == 1


def test_an_error_of_the_engine_ends_the_stream_and_stops_the_source() -> None:
    transport = MockTransport(error=ServerError("out of memory"), error_after=40)
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for frame in numbered(100_000):
            taken += 1
            yield frame

    with (
        Client(transport=transport) as client,
        client.open_session(17, 16) as session,
        pytest.raises(ServerError, match="out of memory"),
    ):
        list(session.upscale(counted()))
    assert taken < 100
    assert transport.closed == 1


def test_leaving_early_closes_the_stream_and_its_thread() -> None:
    transport = MockTransport()
    with Client(transport=transport) as client, client.open_session(17, 16) as session:
        upscaled = session.upscale(numbered(1000))
        next(upscaled)
        upscaled.close()
        assert transport.closed == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("flashvsr-")]


def test_a_closed_session_says_so() -> None:
    with Client(transport=MockTransport()) as client:
        session = client.open_session(17, 16)
        session.close()
        with pytest.raises(StreamClosedError):
            list(session.upscale(numbered(30)))


def test_a_frame_of_another_size_is_refused() -> None:
    with (
        Client(transport=MockTransport()) as client,
        client.open_session(17, 17) as session,
        pytest.raises(InputError, match=r"frame 0 is uint8 \[16, 17, 3\]"),
    ):
        list(session.upscale(numbered(1)))


@pytest.mark.parametrize("scale", [0, 1, 5])
def test_an_unknown_scale_is_refused(scale: int) -> None:
    with Client(transport=MockTransport()) as client, pytest.raises(UsageError, match=f"scale {scale}: .* 2, 3 or 4"):
        client.open_session(64, 64, scale=scale)


def test_too_small_a_size_is_refused() -> None:
    with Client(transport=MockTransport()) as client, pytest.raises(InputError, match="15x64"):
        client.open_session(15, 64)


@pytest.mark.parametrize("server", ["", "host", "host:", "host:http", "host:0", "host:65536", ":7070"])
def test_an_address_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        Client(server)

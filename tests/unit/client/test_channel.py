from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flashvsr_client.channel import Channel
from flashvsr_client.errors import StreamClosedError
from hypothesis import given
from hypothesis import strategies as st


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@given(st.lists(st.integers(), max_size=40), st.integers(1, 5))
def test_items_come_out_in_order_and_never_more_than_capacity_wait(items: list[int], capacity: int) -> None:
    channel: Channel[int] = Channel(capacity)
    put = 0

    def send() -> None:
        nonlocal put
        for item in items:
            channel.put(item)
            put += 1
        channel.close()

    sender = in_thread(send)
    got: list[int] = []
    for item in channel:
        got.append(item)
        assert put - len(got) <= capacity
    sender.join(5)
    assert got == items


def test_close_lets_the_rest_out_and_takes_no_more() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.close()
    with pytest.raises(StreamClosedError):
        channel.put(2)
    assert list(channel) == [1]


def test_abort_wakes_a_sender_that_waits_for_room() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    raised = threading.Event()

    def send() -> None:
        with pytest.raises(StreamClosedError):
            channel.put(2)
        raised.set()

    in_thread(send)
    channel.abort()
    assert raised.wait(5)


def test_abort_wakes_a_receiver_and_drops_what_waits() -> None:
    channel: Channel[int] = Channel(1)
    raised = threading.Event()

    def receive() -> None:
        with pytest.raises(StreamClosedError):
            list(channel)
        raised.set()

    in_thread(receive)
    channel.abort()
    assert raised.wait(5)

"""The service over a fake engine: what it answers, and what survives a bad request."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from flashvsr_handler.auth import Tokens
from flashvsr_handler.errors import Unauthenticated
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.protocols import Pictures
from flashvsr_handler.service import Service
from flashvsr_handler.settings import MIB, Settings, SettingsError
from flashvsr_handler.stored import StoredSession
from flashvsr_handler.underway import Underway
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.handler.fake_engine import FakeEngine

SIZE = (18, 16)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Caller:
    """A service and the shortest way to talk to it."""

    def __init__(self, budget: int = 1_000_000, park: int = 1_000_000, **changes: object) -> None:
        self.engine = FakeEngine()
        self.clock = Clock()
        chosen = replace(Settings(idle_timeout_s=60), **changes)  # type: ignore[arg-type]
        self.service = Service(self.engine, "cpu", budget, chosen, self.clock, park)

    def ask(self, request: pb.StreamRequest, *, many: bool = True) -> list[pb.StreamResponse]:
        request.protocol_version = request.protocol_version or wire.PROTOCOL_VERSION
        return list(self.service.handle(request.SerializeToString(), many=many))

    def open(self, **fields: object) -> pb.StreamResponse:
        opening = pb.Open(**{"width": SIZE[0], "height": SIZE[1], "scale": 2, **fields})  # type: ignore[arg-type]
        (response,) = self.ask(pb.StreamRequest(open=opening), many=False)
        return response

    def frames(self, session_id: str, index: int, frames: Pictures) -> list[pb.StreamResponse]:
        return self.ask(pb.StreamRequest(session_id=session_id, chunk_index=index, frames=wire.encode(frames)))

    def flush(self, session_id: str, index: int) -> list[pb.StreamResponse]:
        return self.ask(pb.StreamRequest(session_id=session_id, chunk_index=index, flush=pb.Flush()))

    def close(self, session_id: str) -> pb.StreamResponse:
        (response,) = self.ask(pb.StreamRequest(session_id=session_id, close=pb.Close()), many=False)
        return response

    def balance(self) -> bool:
        counters = self.service.store.counters
        return counters.opened == counters.closed + counters.expired + counters.lost + counters.active


def pictures(count: int, seed: int = 0) -> Pictures:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE[1], SIZE[0], 3), np.uint8)


def output(responses: list[pb.StreamResponse]) -> Pictures:
    """The frames of answers, checked to be numbered without a gap."""
    messages = [response.frames for response in responses if response.HasField("frames")]
    for before, after in pairwise(messages):
        assert after.first_frame == before.first_frame + before.count
    empty = np.empty((0, 2 * SIZE[1], 2 * SIZE[0], 3), np.uint8)
    return np.concatenate([empty, *(wire.decode(message) for message in messages)])


def code(responses: list[pb.StreamResponse]) -> pb.ErrorCode:
    assert responses[-1].WhichOneof("body") == "error"
    return responses[-1].error.code


def enlarged(frames: Pictures) -> Pictures:
    return frames.repeat(2, 1).repeat(2, 2)


@given(st.lists(st.integers(0, 40), max_size=6))
@settings(max_examples=30, deadline=None)
def test_every_frame_comes_out_once_in_order(sizes: list[int]) -> None:
    caller = Caller()
    session = caller.open().session_id
    frames = pictures(sum(sizes))
    answers, start = [], 0
    for index, size in enumerate(sizes):
        answer = caller.frames(session, index, frames[start : start + size])
        assert [answer[0].WhichOneof("body"), answer[-1].WhichOneof("body")] == ["accepted", "done"]
        answers += answer
        start += size
    answers += caller.flush(session, len(sizes))
    np.testing.assert_array_equal(output(answers), enlarged(frames))
    assert answers[-1].done.frames_in == answers[-1].done.frames_out == len(frames)
    assert caller.close(session).closed == pb.Closed(frames_in=len(frames), frames_out=len(frames))
    assert caller.engine.sessions[0].closed
    assert caller.balance()


def test_a_sessions_place_in_its_film_reaches_the_engine_and_is_confirmed() -> None:
    caller = Caller()
    assert [caller.open().opened.first_frame, caller.open(first_frame=24).opened.first_frame] == [0, 24]
    assert caller.engine.first_frames == [0, 24]


def test_opened_says_what_a_client_needs() -> None:
    caller = Caller(max_chunk_frames=50)
    response = caller.open(seed=7)
    assert len(response.session_id) >= 20
    expected = pb.Opened(
        output_width=36,
        output_height=32,
        first_chunk=25,
        chunk=8,
        look_ahead=4,
        max_chunk_frames=50,
        state_bytes=1000,
        idle_timeout_ms=60_000,
        model="fake 1.1",
        protocol_version=1,
    )
    assert response.opened == expected
    assert caller.engine.sessions[0].seed == 7


def test_pong_counts_sessions_and_names_the_models() -> None:
    caller = Caller(models=("flashvsr0", "flashvsr1"), warm_up=False)
    caller.open()
    (response,) = caller.ask(pb.StreamRequest(ping=pb.Ping()), many=False)
    pong = response.pong
    assert (pong.sessions, pong.max_sessions, pong.state_bytes, pong.device) == (1, 8, 1000, "cpu")
    assert list(pong.models) == ["flashvsr0", "flashvsr1"]
    assert not pong.warm


def test_a_repeated_chunk_gets_the_same_answer_and_is_not_run_again() -> None:
    caller = Caller()
    session = caller.open().session_id
    first = caller.frames(session, 0, pictures(30))
    again = caller.frames(session, 0, pictures(30))
    for response in (*first, *again):
        response.ClearField("timings")
    assert again == first
    flushed = caller.flush(session, 1)
    np.testing.assert_array_equal(output(caller.flush(session, 1)), output(flushed))
    np.testing.assert_array_equal(output(caller.frames(session, 0, pictures(30))), output(first))
    assert caller.engine.sessions[0].frames_in == 30


def test_a_refused_chunk_leaves_the_session_usable() -> None:
    caller = Caller(max_chunk_frames=30)
    session = caller.open().session_id
    frames = pictures(26)
    answers = caller.frames(session, 0, frames[:25])
    bad = wire.encode(frames[:1])
    bad.count = 2
    for request, expected in (
        (pb.StreamRequest(session_id=session, chunk_index=2, frames=wire.encode(frames)), pb.ERROR_CODE_OUT_OF_ORDER),
        (pb.StreamRequest(session_id=session, chunk_index=1, frames=bad), pb.ERROR_CODE_INVALID_REQUEST),
        (
            pb.StreamRequest(session_id=session, chunk_index=1, frames=wire.encode(frames[:, 1:])),
            pb.ERROR_CODE_INVALID_REQUEST,
        ),
        (
            pb.StreamRequest(session_id=session, chunk_index=1, frames=wire.encode(pictures(31))),
            pb.ERROR_CODE_TOO_LARGE,
        ),
        (pb.StreamRequest(session_id=session, chunk_index=1), pb.ERROR_CODE_INVALID_REQUEST),
    ):
        assert code(caller.ask(request)) == expected
    answers += caller.frames(session, 1, frames[25:])
    answers += caller.flush(session, 2)
    np.testing.assert_array_equal(output(answers), enlarged(frames))
    assert code(caller.frames(session, 3, frames)) == pb.ERROR_CODE_INVALID_REQUEST
    assert caller.close(session).HasField("closed")


def test_a_broken_engine_loses_its_session_alone() -> None:
    caller = Caller()
    lost, other = caller.open().session_id, caller.open().session_id
    caller.engine.sessions[0].fault = RuntimeError("out of memory")
    assert code(caller.frames(lost, 0, pictures(2))) == pb.ERROR_CODE_SESSION_LOST
    assert caller.engine.sessions[0].closed
    assert not caller.service.device_lost
    assert code(caller.frames(lost, 0, pictures(2))) == pb.ERROR_CODE_NO_SESSION
    assert caller.frames(other, 0, pictures(2))[-1].HasField("done")
    assert caller.service.store.counters.lost == 1
    assert caller.balance()


def test_a_lost_cuda_context_is_noticed() -> None:
    caller = Caller()
    session = caller.open().session_id
    caller.engine.sessions[0].fault = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert code(caller.frames(session, 0, pictures(2))) == pb.ERROR_CODE_SESSION_LOST
    assert caller.service.device_lost


def test_an_error_while_frames_are_fetched_is_the_last_message() -> None:
    caller = Caller()

    def broken() -> None:
        raise RuntimeError("the device failed meanwhile")

    class Late:
        """Gives frames that never arrive."""

        def __init__(self, session: StoredSession) -> None:
            self.session = session

        def push(self, frames: Pictures, /) -> Underway:
            return Underway(self.session.engine.push(frames), broken)

        def finish(self) -> Underway:
            return Underway(self.session.engine.finish(), broken)

    caller.service = Service(caller.engine, "cpu", 1_000_000, Settings(), caller.clock, source_of=Late)
    answers = caller.frames(caller.open().session_id, 0, pictures(60))
    assert [answer.WhichOneof("body") for answer in answers] == ["accepted", "error"]
    assert code(answers) == pb.ERROR_CODE_SESSION_LOST
    assert caller.service.store.counters.lost == 1


def test_an_answer_that_nobody_reads_to_its_end_is_kept_for_a_client_that_comes_back() -> None:
    caller = Caller(message_target_bytes=1)
    session = caller.open().session_id
    frames = pictures(60)
    request = pb.StreamRequest(protocol_version=1, session_id=session, chunk_index=0, frames=wire.encode(frames))
    answer = caller.service.handle(request.SerializeToString(), many=True)
    assert next(answer).HasField("accepted")
    assert next(answer).HasField("frames")
    assert isinstance(answer, Generator)
    answer.close()
    assert caller.service.store.counters.active == 1
    answers = caller.frames(session, 0, frames) + caller.flush(session, 1)
    np.testing.assert_array_equal(output(answers), enlarged(frames))
    assert caller.engine.sessions[0].frames_in == 60
    assert caller.balance()


def test_clip_is_a_session_of_one_call() -> None:
    caller = Caller()
    frames = pictures(30)
    clip = pb.Clip(open=pb.Open(width=SIZE[0], height=SIZE[1], scale=2), frames=wire.encode(frames))
    answers = caller.ask(pb.StreamRequest(clip=clip))
    np.testing.assert_array_equal(output(answers), enlarged(frames))
    assert answers[-1].done.frames == 30
    assert caller.engine.sessions[0].closed
    assert caller.service.store.counters.closed == 1
    clip.frames.width = 5
    assert code(caller.ask(pb.StreamRequest(clip=clip))) == pb.ERROR_CODE_INVALID_REQUEST
    assert caller.service.store.counters.active == 0
    assert caller.balance()


def test_yuv_goes_in_and_comes_out() -> None:
    caller = Caller()
    session = caller.open(output_format=pb.PIXEL_FORMAT_YUV420P).session_id
    grey = np.full((3, SIZE[1], SIZE[0], 3), 90, np.uint8)
    message = wire.encode(grey, pb.PIXEL_FORMAT_YUV420P)
    caller.ask(pb.StreamRequest(session_id=session, chunk_index=0, frames=message))
    answers = caller.flush(session, 1)
    assert answers[1].frames.pixel_format == pb.PIXEL_FORMAT_YUV420P
    assert np.abs(output(answers).astype(int) - 90).max() <= 1


def test_frames_travel_in_messages_of_about_the_wanted_size() -> None:
    one = 4 * SIZE[0] * SIZE[1] * 3
    caller = Caller(message_target_bytes=4 * one)
    session = caller.open().session_id
    answers = caller.frames(session, 0, pictures(25))
    assert [answer.frames.count for answer in answers if answer.HasField("frames")] == [4, 4, 4, 4, 4, 1]


def test_no_message_passes_the_limit_whatever_size_is_wanted() -> None:
    caller = Caller(message_target_bytes=8 * MIB, max_message_bytes=MIB)
    session = caller.open(width=200, height=200).session_id
    frames = np.zeros((8, 200, 200, 3), np.uint8)
    answers = [caller.frames(session, index, frames) for index in range(4)]
    sizes = [response.ByteSize() for answer in answers for response in answer]
    assert MIB // 3 < max(sizes) <= MIB


@pytest.mark.parametrize("body", ["frames", "flush", "clip"])
def test_many_answers_are_refused_to_a_caller_that_takes_one(body: str) -> None:
    caller = Caller()
    session = caller.open().session_id
    request = pb.StreamRequest(session_id=session)
    getattr(request, body).SetInParent()
    assert code(caller.ask(request, many=False)) == pb.ERROR_CODE_INVALID_REQUEST


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"width": 0}, pb.ERROR_CODE_INVALID_REQUEST),
        ({"width": 15}, pb.ERROR_CODE_INVALID_REQUEST),
        ({"height": 2**32 - 1}, pb.ERROR_CODE_INVALID_REQUEST),
        ({"scale": 5}, pb.ERROR_CODE_INVALID_REQUEST),
        ({"output_format": 9}, pb.ERROR_CODE_INVALID_REQUEST),
        ({"output_color": pb.ColorTags(matrix=9)}, pb.ERROR_CODE_INVALID_REQUEST),  # type: ignore[arg-type]
        ({"width": 8000, "height": 4000}, pb.ERROR_CODE_TOO_LARGE),
    ],
)
def test_an_open_that_cannot_be_served_is_refused(fields: dict[str, object], expected: pb.ErrorCode) -> None:
    caller = Caller()
    assert code([caller.open(**fields)]) == expected
    assert caller.engine.sessions == []


def test_sizes_are_checked_at_open_so_that_no_message_passes_the_limit() -> None:
    caller = Caller(max_message_bytes=MIB)
    assert code([caller.open(width=400, height=300)]) == pb.ERROR_CODE_TOO_LARGE
    opened = caller.open(width=200, height=200).opened
    assert opened.max_chunk_frames == (MIB - 4096) // (200 * 200 * 3)


def test_another_protocol_version_is_refused() -> None:
    caller = Caller()
    assert code(caller.ask(pb.StreamRequest(protocol_version=2, ping=pb.Ping()))) == pb.ERROR_CODE_UNSUPPORTED_VERSION


@pytest.mark.parametrize(("newest", "oldest", "chosen"), [(1, 0, 1), (1, 1, 1), (7, 1, 1), (2, 0, None), (7, 2, None)])
def test_the_version_is_negotiated_at_open(newest: int, oldest: int, chosen: int | None) -> None:
    caller = Caller()
    opening = pb.Open(width=16, height=16, oldest_protocol_version=oldest)
    (response,) = caller.ask(pb.StreamRequest(protocol_version=newest, open=opening))
    if chosen is None:
        assert code([response]) == pb.ERROR_CODE_UNSUPPORTED_VERSION
    else:
        assert response.opened.protocol_version == chosen


@given(st.binary(max_size=64))
@settings(deadline=None)
def test_any_bytes_get_an_error(data: bytes) -> None:
    caller = Caller()
    answers = list(caller.service.handle(data, many=True))
    assert answers[-1].WhichOneof("body") in ("error", "pong")


def test_silent_sessions_expire_and_their_memory_is_freed() -> None:
    caller = Caller()
    silent = caller.open().session_id
    caller.clock.now = 61
    assert caller.service.store.expire() == 1
    assert caller.engine.sessions[0].closed
    assert code(caller.frames(silent, 0, pictures(1))) == pb.ERROR_CODE_NO_SESSION
    assert caller.balance()


def test_a_draining_server_takes_no_new_sessions_and_ends_the_old_ones_at_its_deadline() -> None:
    caller = Caller()
    session = caller.open().session_id
    caller.service.drain.begin(5)
    refused = caller.open().error
    assert (refused.code, refused.retryable) == (pb.ERROR_CODE_DRAINING, True)
    done = caller.frames(session, 0, pictures(25))[-1].done
    assert done.drain_ms == 5000
    (pong,) = caller.ask(pb.StreamRequest(ping=pb.Ping()), many=False)
    assert pong.pong.draining
    caller.clock.now = 5
    answers = caller.frames(session, 1, pictures(8))
    assert code(answers) == pb.ERROR_CODE_DRAINING
    assert answers[-1].error.retryable
    assert caller.engine.sessions[0].closed
    assert caller.service.store.counters.lost == 1
    assert caller.balance()


def test_a_draining_server_does_not_wait_for_sessions_that_nobody_uses() -> None:
    caller = Caller()
    caller.open()
    caller.service.drain.begin(60)
    caller.clock.now = 11
    caller.service.housekeep()
    assert caller.service.store.counters.expired == 1


def test_a_full_device_at_open_is_busy() -> None:
    caller = Caller()
    caller.engine.full = True
    refused = caller.open().error
    assert (refused.code, refused.retryable) == (pb.ERROR_CODE_BUSY, True)
    assert caller.balance()


def test_silent_sessions_are_parked_and_go_on_exactly() -> None:
    caller = Caller(park_after_s=5.0)
    session = caller.open().session_id
    frames = pictures(40)
    answers = caller.frames(session, 0, frames[:30])
    caller.clock.now = 6
    caller.service.housekeep()
    store = caller.service.store
    assert (store.counters.parked, store.state_bytes, store.snapshots_bytes()) == (1, 0, 1000)
    assert caller.engine.sessions[0].closed
    answers += caller.frames(session, 1, frames[30:])
    assert (store.counters.parked, store.state_bytes) == (0, 1000)
    answers += caller.flush(session, 2)
    np.testing.assert_array_equal(output(answers), enlarged(frames))
    caller.clock.now = 20
    caller.service.housekeep()  # a stream that was flushed has no state to park
    assert store.counters.parked == 0
    assert caller.close(session).HasField("closed")
    assert caller.balance()


def test_parked_sessions_make_room_and_wait_for_it() -> None:
    caller = Caller(budget=2000, park_after_s=5.0)
    first = caller.open().session_id
    caller.frames(first, 0, pictures(25))
    assert code([caller.open()]) == pb.ERROR_CODE_BUSY
    caller.clock.now = 6
    caller.service.housekeep()
    second = caller.open().session_id
    busy = caller.frames(first, 1, pictures(8))
    assert code(busy) == pb.ERROR_CODE_BUSY
    assert busy[-1].error.retryable
    caller.close(second)
    assert caller.frames(first, 1, pictures(8))[-1].HasField("done")
    assert caller.balance()


def test_parking_stays_within_its_room() -> None:
    caller = Caller(park_after_s=5.0, park=1500)
    for _ in range(2):
        caller.frames(caller.open().session_id, 0, pictures(25))
    caller.clock.now = 6
    caller.service.housekeep()
    assert caller.service.store.counters.parked == 1


TOKENS = "# two callers\nalice a-token-of-alices\nbob a-token-that-is-bobs\n"


def test_every_call_needs_a_token_and_sessions_belong_to_it(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKENS)
    caller = Caller(auth_file=str(tmp_path / "tokens"))
    for body in ("open", "frames", "flush", "close", "ping", "clip"):
        for token in ("", "a-token-of-alice", "a-token-of-alicess"):
            request = pb.StreamRequest(token=token)
            getattr(request, body).SetInParent()
            assert code(caller.ask(request)) == pb.ERROR_CODE_UNAUTHENTICATED
    alice, bob = "a-token-of-alices", "a-token-that-is-bobs"
    opening = pb.Open(width=SIZE[0], height=SIZE[1], scale=2)
    (opened,) = caller.ask(pb.StreamRequest(open=opening, token=alice))
    chunk = pb.StreamRequest(session_id=opened.session_id, frames=wire.encode(pictures(25)), token=bob)
    assert code(caller.ask(chunk)) == pb.ERROR_CODE_NO_SESSION
    chunk.token = alice
    assert caller.ask(chunk)[-1].HasField("done")
    assert list(
        caller.service.parts(Incoming.read(chunk.SerializeToString()), token=bob)
    )  # the request's own word comes first


def test_tokens_change_with_their_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(TOKENS)
    tokens = Tokens(str(file))
    assert tokens.caller("a-token-of-alices") == "alice"
    file.write_text("alice another-token-of-hers\n")
    os.utime(file, ns=(1, 1))
    assert tokens.caller("another-token-of-hers") == "alice"
    for wrong in ("a-token-of-alices", ""):
        with pytest.raises(Unauthenticated):
            tokens.caller(wrong)
    file.unlink()
    with pytest.raises(Unauthenticated):
        tokens.caller("another-token-of-hers")


def test_a_file_of_tokens_that_comes_back_as_it_was_lets_its_callers_in_again(tmp_path: Path) -> None:
    file, aside = tmp_path / "tokens", tmp_path / "aside"
    file.write_text(TOKENS)
    tokens = Tokens(str(file))
    file.rename(aside)
    with pytest.raises(Unauthenticated):
        tokens.caller("a-token-of-alices")
    aside.rename(file)  # with the same times and inode
    assert tokens.caller("a-token-of-alices") == "alice"


def test_a_token_without_a_name_is_the_same_caller_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\ufeffthe-first-of-two-tokens\nthe-second-of-two-tokens\n", encoding="utf-8")
    tokens = Tokens(str(file))
    first, second = tokens.caller("the-first-of-two-tokens"), tokens.caller("the-second-of-two-tokens")
    assert first != second
    file.write_text("the-second-of-two-tokens\n")
    assert tokens.caller("the-second-of-two-tokens") == second


@pytest.mark.parametrize(
    "text",
    [
        "alice a-token-of-both\nbob a-token-of-both\n",
        "",
        "# none\n",
        "short\n",
        "a b c-token-of-somebody\n",
        "a-token-with-\u00e4-in-it\n",
    ],
)
def test_a_file_of_tokens_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(SettingsError, match="auth_file"):
        Tokens(str(tmp_path / "tokens"))


def test_a_session_of_sixteen_bits_takes_and_gives_them_alone() -> None:
    caller = Caller()
    session = caller.open(output_format=pb.PIXEL_FORMAT_RGB48LE).session_id
    frames = np.random.default_rng(0).integers(0, 65536, (30, SIZE[1], SIZE[0], 3), np.uint16)
    deep = pb.StreamRequest(session_id=session, frames=wire.encode(frames, pb.PIXEL_FORMAT_RGB48LE))
    shallow = pb.StreamRequest(session_id=session, frames=wire.encode(pictures(2)))
    assert code(caller.ask(shallow)) == pb.ERROR_CODE_INVALID_REQUEST
    answers = [*caller.ask(deep), *caller.flush(session, 1)]
    messages = [response.frames for response in answers if response.HasField("frames")]
    assert {message.pixel_format for message in messages} == {pb.PIXEL_FORMAT_RGB48LE}
    np.testing.assert_array_equal(np.concatenate([wire.decode(one) for one in messages]), enlarged(frames))
    assert code(caller.ask(pb.StreamRequest(session_id=caller.open().session_id, frames=deep.frames)))

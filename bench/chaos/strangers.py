"""Clients that behave badly: each does so once and goes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
import numpy as np
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import direct
from flashvsr_proto.v1 import stream_pb2 as pb

from bench.chaos.engine import DEVICE_ERROR, EXCEPTION, OUT_OF_MEMORY
from bench.chaos.films import HEIGHT, SCALE, WIDTH
from tests.e2e.serving import LIMITS, MODEL, Caller, pictures
from tests.faults.lab import ROOT, VIEWER, environment

OPTIONS: Final = [*LIMITS, ("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 500)]
"""A channel of its own, that does not wait for long between attempts: what is measured is the server."""
ANSWER_S: Final = 20.0


class TurnedAwayError(Exception):
    """The server was full or about to stop when a stranger came, as another fault at the same time has it."""


class Stranger(Caller):
    """A caller with a connection of its own."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.channel.close()
        self.channel = grpc.insecure_channel(address, options=OPTIONS)
        self.stub = InferenceStub(self.channel)


@contextmanager
def stranger(address: str) -> Iterator[Stranger]:
    """Give one for the time of a block."""
    made = Stranger(address)
    try:
        yield made
    finally:
        made.channel.close()


def vanishes(address: str, rng: random.Random) -> None:
    """Stream, and be killed in the middle of it."""
    plane = rng.choice(["direct", "torchserve"])
    viewer = subprocess.Popen(
        [sys.executable, "-c", VIEWER, address, plane],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
        cwd=ROOT,
    )
    assert viewer.stdout is not None
    viewer.stdout.readline()
    viewer.kill()
    viewer.wait()
    viewer.stdout.close()


def half_closes(address: str, rng: random.Random) -> None:
    """Send chunks into a direct stream, say that no more follow, neither flush nor close."""
    with stranger(address) as caller, _direct(address, caller) as stub:
        session = _opened(caller)
        chunks = [_frames(session, index, count) for index, count in enumerate((25, rng.randint(1, 32)))]
        list(stub.upscale(iter(chunks), timeout=ANSWER_S))


def sends_rubbish(address: str, rng: random.Random) -> None:
    """Send spoilt chunks on both planes, some for a session that lives, and leave it."""
    with stranger(address) as caller, _direct(address, caller) as stub:
        session = _opened(caller)
        for _ in range(10):
            spoilt = bytearray(_frames(session, 0, 9))
            for _ in range(rng.randint(1, 4)):
                spoilt[rng.randrange(60)] = rng.randrange(256)
            cut = bytes(spoilt[: rng.randint(0, len(spoilt))])
            list(caller.stub.stream_predictions(request(MODEL, cut, stream=True), timeout=ANSWER_S))
            list(stub.upscale(iter([bytes(spoilt)]), timeout=ANSWER_S))


def reads_slowly(address: str, rng: random.Random) -> None:
    """Ask for many megabytes and read none of them for a while."""
    width, height = 160, 120
    with stranger(address) as caller, _direct(address, caller) as stub:
        session = _opened(caller, width, height, 4)
        chunks = [_frames(session, index, 25, width, height) for index in range(3)]
        if rng.random() < 0.5:
            answers = stub.upscale(iter(chunks), timeout=60)
        else:
            answers = caller.stub.stream_predictions(request(MODEL, chunks[0], stream=True), timeout=60)  # type: ignore[assignment]
        time.sleep(rng.uniform(2, 6))
        answers.cancel()  # type: ignore[no-untyped-call]


def takes_everything(address: str, rng: random.Random) -> None:
    """Open sessions until the server is full, keep them for a moment, go without a word."""
    with stranger(address) as caller:
        for _ in range(64):
            answer = caller.one(ANSWER_S, open=pb.Open(width=WIDTH, height=HEIGHT, scale=SCALE))
            if answer.HasField("error"):
                assert answer.error.code in (pb.ERROR_CODE_BUSY, pb.ERROR_CODE_DRAINING), answer
                assert answer.error.retry_after_ms > 0
                break
        time.sleep(rng.uniform(0, 2))


def breaks_the_handler(address: str, rng: random.Random) -> None:
    """Make the engine raise what nobody expects."""
    _send_marked(address, EXCEPTION)


def runs_out_of_memory(address: str, rng: random.Random) -> None:
    """Make the device have no memory in the middle of a chunk."""
    _send_marked(address, OUT_OF_MEMORY)


def breaks_the_device(address: str, rng: random.Random) -> None:
    """Make a CUDA error, after which the process is of no use."""
    _send_marked(address, DEVICE_ERROR)


def _send_marked(address: str, mark: int) -> None:
    with stranger(address) as caller:
        session = _opened(caller)
        caller.frames(session, 0, np.full((25, HEIGHT, WIDTH, 3), mark, np.uint8))


def _opened(caller: Stranger, width: int = WIDTH, height: int = HEIGHT, scale: int = SCALE) -> str:
    """Open a session and give its id. Raises :class:`TurnedAwayError`."""
    answer = caller.one(ANSWER_S, open=pb.Open(width=width, height=height, scale=scale))
    if answer.error.code in (pb.ERROR_CODE_BUSY, pb.ERROR_CODE_DRAINING):
        assert answer.error.retry_after_ms > 0, answer
        raise TurnedAwayError(answer.error.message)
    assert answer.HasField("opened"), answer
    return answer.session_id


@contextmanager
def _direct(address: str, caller: Caller) -> Iterator[direct.UpscalerStub]:
    port = caller.one(ANSWER_S, ping=pb.Ping()).pong.direct_port
    with grpc.insecure_channel(f"{address.rpartition(':')[0]}:{port}", options=OPTIONS) as channel:
        yield direct.UpscalerStub(channel)


def _frames(session: str, index: int, count: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    given = pictures(count, index, width, height)
    given[:, 0, 0, 0] = 0
    message = pb.StreamRequest(
        protocol_version=wire.PROTOCOL_VERSION, session_id=session, chunk_index=index, frames=wire.encode(given)
    )
    return message.SerializeToString()

"""A real flashvsr-serve in a test, and the shortest way to talk to it with plain stubs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc
import numpy as np
import psutil  # type: ignore[import-untyped]
from flashvsr_handler.protocols import Pictures
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb

COMMAND = str(Path(sys.executable).with_name("flashvsr-serve"))
WEIGHTS = ("--weights", str(Path(__file__).parents[1] / "golden" / "weights"), "--weights-version", "1.1")
FREE_PORTS = ("--grpc-port", "0", "--http-port", "0", "--device", "cpu")
MODEL = "flashvsr0"
LIMITS = [("grpc.max_receive_message_length", 65 << 20), ("grpc.max_send_message_length", 65 << 20)]


@dataclass(frozen=True)
class Server:
    """A server that said that it is ready."""

    process: subprocess.Popen[str]
    address: str
    said: str

    @property
    def java(self) -> psutil.Process:
        (java,) = psutil.Process(self.process.pid).children()
        return java

    @property
    def worker(self) -> psutil.Process:
        (worker,) = self.java.children()
        return worker

    @property
    def metrics(self) -> str:
        """Where its metrics are, as it said."""
        return next(word for word in self.said.split() if word.endswith("/metrics,")).rstrip(",")


@contextmanager
def serving(errors: IO[str], *options: str, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """Start a server; its stderr goes to a file. It ends with the block; Java and workers go with it."""
    process = subprocess.Popen(
        [COMMAND, *FREE_PORTS, "--startup-timeout", "120", *options],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        errors.seek(0)
        said = errors.read()
        assert line.startswith("flashvsr-serve: ready on "), said
        yield Server(process, line.split()[3], said)
    finally:
        process.terminate()
        try:
            process.wait(40)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def wait_until(holds: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def alive(processes: Sequence[psutil.Process]) -> list[int]:
    """Those that still run; zombies that nobody has reaped yet do not."""
    return [p.pid for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def faulty(**settings: object) -> dict[str, str]:
    """The environment of a server whose engine breaks on request, with settings of its own."""
    named = {f"FLASHVSR_{name.upper()}": str(value) for name, value in settings.items()}
    return os.environ | {"FLASHVSR_ENGINE_FACTORY": "tests.e2e.faulty:load", "PYTHONPATH": path()} | named


def path() -> str:
    """Where a worker, which runs in another directory, finds the tests."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))


class Caller:
    """Messages in and out of one model."""

    def __init__(self, address: str, token: str = "", credentials: grpc.ChannelCredentials | None = None) -> None:
        self.token = token
        self.channel = (
            grpc.insecure_channel(address, options=LIMITS)
            if credentials is None
            else grpc.secure_channel(address, credentials, options=LIMITS)
        )
        self.stub = InferenceStub(self.channel)

    def one(self, timeout_s: float = 60, **body: object) -> pb.StreamResponse:
        message = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, token=self.token, **body)  # type: ignore[arg-type]
        answer = self.stub.predictions(request(MODEL, message.SerializeToString()), timeout=timeout_s)
        return wire.parse(pb.StreamResponse, answer.prediction)

    def many(self, timeout_s: float = 120, **body: object) -> list[pb.StreamResponse]:
        message = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, token=self.token, **body)  # type: ignore[arg-type]
        wrapped = request(MODEL, message.SerializeToString(), stream=True)
        answers = self.stub.stream_predictions(wrapped, timeout=timeout_s)
        return [wire.parse(pb.StreamResponse, answer.prediction) for answer in answers]

    def open(self, width: int = 32, height: int = 24, scale: int = 2) -> str:
        response = self.one(open=pb.Open(width=width, height=height, scale=scale))
        assert response.HasField("opened"), response
        return response.session_id

    def frames(self, session_id: str, index: int, frames: Pictures) -> list[pb.StreamResponse]:
        return self.many(session_id=session_id, chunk_index=index, frames=wire.encode(frames))

    def flush(self, session_id: str, index: int) -> list[pb.StreamResponse]:
        return self.many(session_id=session_id, chunk_index=index, flush=pb.Flush())

    def answers(self) -> bool:
        """Whether the handler answers a ping within a second."""
        try:
            return self.one(timeout_s=1, ping=pb.Ping()).HasField("pong")
        except grpc.RpcError:
            return False


def pictures(count: int, seed: int = 0, width: int = 32, height: int = 24) -> Pictures:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def output(responses: list[pb.StreamResponse]) -> Pictures:
    assert responses[0].HasField("accepted"), responses[0]
    assert responses[-1].HasField("done"), responses[-1]
    return np.concatenate([wire.decode(r.frames) for r in responses if r.HasField("frames")])

"""Whether a server answers: ``python -m flashvsr_handler.serve.check HOST:PORT``, for a container's health check."""

from __future__ import annotations

import argparse
import sys

import grpc
from flashvsr_proto.torchserve.stub import InferenceStub

from flashvsr_handler.serve.health import Ping


def main() -> int:
    """Ping the first model of the server at the address on the command line; return 0 when it answers, else 1."""
    parser = argparse.ArgumentParser(prog="python -m flashvsr_handler.serve.check", description="ping a server")
    parser.add_argument("address", help="such as 127.0.0.1:7070")
    parser.add_argument("--model", default="flashvsr0")
    parser.add_argument("--timeout", type=float, default=10, metavar="SECONDS")
    arguments = parser.parse_args()
    with grpc.insecure_channel(arguments.address) as channel:
        pong = Ping(InferenceStub(channel), arguments.model, arguments.timeout).pong()
    sys.stdout.write(f"{pong.model} on {pong.device}\n" if pong is not None else "no answer\n")
    return 0 if pong is not None else 1


if __name__ == "__main__":
    sys.exit(main())

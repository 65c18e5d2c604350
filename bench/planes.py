"""Served frames per second beside those of an engine that only waits: what serving itself costs, and where.

    python -m bench.planes --size 352x192 --fps 60 --sessions 1,4

starts flashvsr-serve with ``bench.waiting`` or another ``--factory`` (``bench.served:load`` has the published sizes;
``--fps`` is then what ``bench.engine`` measured), drives it over TorchServe and over the direct plane with YUV420P both
ways, and prints frames per second, the share of the engine's own, the mean milliseconds per chunk of 8 in each stage,
and the processor's milliseconds per frame in each process, which other work on the machine does not change much.
The load is made by one thread a session that reads planes and does not decode them; it runs on the same machine.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil  # type: ignore[import-untyped]
from flashvsr_client.config import Access
from flashvsr_client.demo import server
from flashvsr_client.transport.direct import Direct
from flashvsr_client.transport.rpc import Rpc
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from bench.engine import commit

FACTORY = "bench.waiting:load"
MODEL = "flashvsr0"
FIRST, CHUNK = 25, 8
PROCESSES = ("worker", "Java", "client")
STAGES = ("queue", "decode", "engine", "encode", "send")


@dataclass
class Load:
    """One session's work and what it saw."""

    frames: int = 0
    seconds: float = 0.0
    first_frame_s: float = 0.0
    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})


def main() -> None:
    """Parse the options, measure, print a row for each plane and number of sessions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="352x192", help="of the input, WIDTHxHEIGHT; the output is 4 times that")
    parser.add_argument("--fps", type=float, default=60, help="of the engine alone")
    parser.add_argument("--sessions", default="1,4")
    parser.add_argument("--chunks", type=int, default=60, help="of 8 frames, in all sessions together")
    parser.add_argument("--format", default="yuv420p", choices=("yuv420p", "rgb24"))
    parser.add_argument("--planes", default="torchserve,direct")
    parser.add_argument("--factory", default=FACTORY, help="of the engine, module:function")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    pixels = pb.PIXEL_FORMAT_YUV420P if options.format == "yuv420p" else pb.PIXEL_FORMAT_RGB24
    os.environ |= {"FLASHVSR_ENGINE_FACTORY": options.factory, "WAITING_FPS": str(options.fps)}
    head = f"size out | plane | sessions | fps | of {options.fps:g} | first frame s"
    columns = [*(f"{stage} ms" for stage in STAGES), *(f"{name} CPU ms" for name in PROCESSES), "commit"]
    print(f"| {head} | " + " | ".join(columns) + " |\n" + "| --- " * (6 + len(columns)) + "|")
    with TemporaryDirectory() as folder, server.running(Path(folder) / "log") as address:
        for plane in options.planes.split(","):
            for sessions in map(int, options.sessions.split(",")):
                before = _processor_s()
                loads = _run(address, plane, sessions, options.chunks // sessions, (width, height), pixels)
                used = [after - start for after, start in zip(_processor_s(), before, strict=True)]
                print(_row(f"{width * 4}x{height * 4} {options.format}", plane, loads, options.fps, used), flush=True)


def _processor_s() -> list[float]:
    """Seconds of the processor that the worker, Java and this process have used."""
    (serve,) = psutil.Process().children()
    (java,) = serve.children()
    (worker,) = java.children()
    return [sum(process.cpu_times()[:2]) for process in (worker, java, psutil.Process())]


def _run(
    address: str, plane: str, sessions: int, chunks: int, size: tuple[int, int], pixels: pb.PixelFormat
) -> list[Load]:
    loads = [Load() for _ in range(sessions)]
    start = threading.Barrier(sessions)
    threads = [
        threading.Thread(target=_drive, args=(address, plane, chunks, size, pixels, load, start)) for load in loads
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loads


def _drive(
    address: str,
    plane: str,
    chunks: int,
    size: tuple[int, int],
    pixels: pb.PixelFormat,
    load: Load,
    start: threading.Barrier,
) -> None:
    """Stream chunks with two under way, as the client does; the first one is not counted."""
    rpc = Rpc(address, Access())
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (FIRST, height, width, 3), np.uint8)
    bodies = {count: wire.encode(noise[:count], pixels) for count in (FIRST, CHUNK)}
    opening = pb.Open(width=width, height=height, scale=4, output_format=pixels)
    opened = rpc.ask(MODEL, pb.StreamRequest(protocol_version=1, open=opening), 60)
    channel = rpc.channel_to(f"{address.rpartition(':')[0]}:{opened.opened.direct_port}")
    route = Direct(rpc, channel) if plane == "direct" else rpc

    def send(index: int) -> object:
        body = bodies[FIRST if index == 0 else CHUNK]
        request = pb.StreamRequest(protocol_version=1, session_id=opened.session_id, chunk_index=index, frames=body)
        return route.start(MODEL, request.SerializeToString())

    began = time.perf_counter()
    calls, started = [send(0)], 0.0
    ahead = 2 if plane == "direct" else 1
    for index in range(chunks + 1):
        for response in route.answers(calls[index], 120):  # type: ignore[arg-type]
            kind = response.WhichOneof("body")
            if kind == "accepted":
                calls.extend(send(number) for number in range(len(calls), min(index + ahead, chunks) + 1))
            if kind == "frames":
                load.frames += response.frames.count if index else 0
                load.first_frame_s = load.first_frame_s or time.perf_counter() - began
            if kind == "done" and index:
                for stage, seen in load.stages.items():
                    seen.append(getattr(response.timings, f"{stage}_us") / 1000)
        if index == 0:
            start.wait()
            started = time.perf_counter()
    load.seconds = time.perf_counter() - started
    rpc.ask(MODEL, pb.StreamRequest(protocol_version=1, session_id=opened.session_id, close=pb.Close()), 60)
    if isinstance(route, Direct):
        route.close()
    channel.close()
    rpc.close()


def _row(what: str, plane: str, loads: list[Load], engine_fps: float, used: list[float]) -> str:
    fps = sum(load.frames for load in loads) / max(load.seconds for load in loads)
    first = max(load.first_frame_s for load in loads)
    stages = [float(np.mean([ms for load in loads for ms in load.stages[stage]])) for stage in STAGES]
    frames = sum(load.frames for load in loads) + len(loads) * (FIRST - 4)
    stages += [1000 * seconds / frames for seconds in used]
    cells = [what, plane, str(len(loads)), f"{fps:.1f}", f"{100 * fps / engine_fps:.0f} %", f"{first:.2f}"]
    return "| " + " | ".join([*cells, *(f"{ms:.1f}" for ms in stages), commit()]) + " |"


if __name__ == "__main__":
    main()

"""Engines in processes of their own, one for each device of this machine."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Final, cast

from flashvsr_client.config import LocalOptions
from flashvsr_client.errors import ClientError, EngineUnavailableError, SessionLostError
from flashvsr_client.segment_run import SegmentResult, Stopped, Work, run_segment
from flashvsr_client.segments import Segment
from flashvsr_client.transport.base import Transport

_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 5.0
_PING: Final = "ping"
_STOP: Final = "stop"
MakeTransport = Callable[[], Transport]


class ProcessWorker:
    """A :class:`Worker` whose engine, decoder and encoder run in a process of their own.

    A process that dies costs the segment that it was at; the next segment gets a new process.
    """

    def __init__(self, name: str, make_transport: MakeTransport) -> None:
        """``make_transport`` is called in the process; it has to be picklable."""
        self.name = name
        self._make_transport = make_transport
        self._process: SpawnProcess | None = None
        self._here: Connection | None = None

    def start(self) -> None:
        """Begin to load the engine, unless the process runs."""
        if self._process is not None and self._process.is_alive():
            return
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, self._make_transport), daemon=True)
        self._process.start()
        there.close()  # so that the process's end is seen here

    def model(self) -> str:
        """Wait for the engine and give its model's name. Raises :class:`EngineUnavailableError`."""
        self.start()
        try:
            return cast("str", self._answer(_PING, Event(), lambda _: None))
        except SessionLostError as error:
            raise EngineUnavailableError(f"the engine on {self.name} did not start: see what it printed") from error

    def engine(self, stop: Event) -> AbstractContextManager[None]:
        """See :class:`Worker`. It is its own."""
        return nullcontext()

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """See :class:`Worker`."""
        self.start()
        return cast("SegmentResult", self._answer((work, segment, folder), stop, advance))

    def close(self) -> None:
        """See :class:`Worker`."""
        process, self._process = self._process, None
        if process is None:
            return
        assert self._here is not None
        self._here.close()  # which ends it
        process.join(_END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()

    def _answer(self, task: object, stop: Event, advance: Callable[[int], None]) -> object:
        assert self._here is not None
        told = False
        try:
            self._here.send(task)
            while True:
                if stop.is_set() and not told:
                    self._here.send(_STOP)
                    told = True
                if self._here.poll(_LOOK_SECONDS):
                    kind, value = self._here.recv()
                    if kind == "frames":
                        advance(value)
                    elif kind == "failed":
                        raise cast("Exception", value)
                    else:
                        return value
        except (EOFError, ConnectionError) as error:
            if isinstance(error, ClientError):
                raise
            self.close()
            raise SessionLostError(f"the engine process on {self.name} died: see what it printed") from error


class LocalEngine:
    """Makes the transport to the engine of one device; picklable."""

    def __init__(self, options: LocalOptions) -> None:
        self._options = options

    def __call__(self) -> Transport:
        """Make it; nothing is loaded before it is asked for."""
        from flashvsr_client.transport.local import LocalTransport

        return LocalTransport(self._options)


@contextmanager
def processes(options: LocalOptions, devices: Sequence[str]) -> Iterator[list[ProcessWorker]]:
    """Start an engine process for each device; they end with the block."""
    names = [f"{device} ({place})" if devices.count(device) > 1 else device for place, device in enumerate(devices, 1)]
    workers = [
        ProcessWorker(name, LocalEngine(replace(options, device=device)))
        for name, device in zip(names, devices, strict=True)
    ]
    try:
        for worker in workers:  # all of them load at once
            worker.start()
        yield workers
    finally:
        for worker in workers:
            worker.close()


def _serve(connection: Connection, make_transport: MakeTransport) -> None:
    """The life of the process: tasks come in, frames and results go out, until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; what follows, the parent says
    transport, stop, tasks = make_transport(), Event(), SimpleQueue[Any]()
    Thread(target=_listen, args=(connection, tasks, stop), daemon=True).start()
    with suppress(ConnectionError):
        while (task := tasks.get()) is not None:
            _reply(connection, stop, transport, task)


def _listen(connection: Connection, tasks: SimpleQueue[Any], stop: Event) -> None:
    """Take what the parent says while a segment is made. Its end stops the segment and the process."""
    try:
        while True:
            task = connection.recv()
            if task == _STOP:
                stop.set()
            else:
                stop.clear()
                tasks.put(task)
    except (EOFError, ConnectionError):
        stop.set()
        tasks.put(None)


def _reply(connection: Connection, stop: Event, transport: Transport, task: Any) -> None:
    try:
        if task == _PING:
            connection.send(("done", transport.ping()[0].model))
            return
        work, segment, folder = task
        result = run_segment(transport.open, work, segment, folder, stop, lambda n: connection.send(("frames", n)))
    except (ClientError, Stopped) as error:
        connection.send(("failed", error))
    else:
        connection.send(("done", result))

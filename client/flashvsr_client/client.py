"""The face of the package: `Client` and its `Session`."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from flashvsr_client.chunks import Frame, chunked, sizes
from flashvsr_client.config import (
    DEFAULT_SERVER,
    Access,
    Encoding,
    JobOptions,
    Limits,
    LocalOptions,
    Reading,
    RetryPolicy,
    Segmentation,
    Timeout,
)
from flashvsr_client.endpoints import Endpoint, open_first, ping_all
from flashvsr_client.errors import UsageError
from flashvsr_client.interrupt import Interrupt
from flashvsr_client.progress import Progress, Silent
from flashvsr_client.replay import ReplayingStream
from flashvsr_client.transport.base import Health, StreamInfo, StreamSpec, Transport

if TYPE_CHECKING:
    from flashvsr_client.report import Report


class Client:
    """Upscales files and streams of frames, on a server or on an engine in this process.

    Safe to use from several threads: every file and every session has a stream of its own. Nothing is connected or
    loaded before it is needed. Use it as a context manager, or call :meth:`close`.
    """

    def __init__(
        self,
        server: str | Sequence[str] = DEFAULT_SERVER,
        *,
        timeout: Timeout | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        access: Access | None = None,
        transport: Transport | Sequence[Transport] | None = None,
    ) -> None:
        """``server`` is HOST:PORT of a flashvsr-serve, or several of them: in a sequence, or with commas.

        ``transport``, when given, is used in their place. ``access``, by default, has the token of FLASHVSR_TOKEN and
        no TLS. Raises :class:`UsageError` for an address that is none.
        """
        self._endpoints = _endpoints(server, timeout, retry, access) if transport is None else _wrapped(transport)
        self._local: tuple[LocalOptions, Sequence[str]] | None = None
        self._limits = limits or Limits()

    @classmethod
    def local(
        cls, options: LocalOptions | None = None, *, devices: str | None = None, limits: Limits | None = None
    ) -> Self:
        """Give a client whose engine runs in this process; needs the extra `flashvsr-client[local]`.

        ``devices``, "all" or a list such as "cuda:0,cuda:1", makes files on an engine process for each of them, in
        place of ``options.device``. Raises :class:`UsageError`, :class:`EngineUnavailableError` for a wrong device.
        """
        from flashvsr_client.transport.local import LocalTransport, devices_of

        chosen = options or LocalOptions()
        names = devices_of(devices) if devices is not None else [chosen.device]
        chosen = replace(chosen, device=names[0])
        client = cls(transport=LocalTransport(chosen), limits=limits)
        client._local = (chosen, names)
        return client

    def upscale_file(
        self,
        source: str | Path,
        target: str | Path,
        scale: int = 4,
        *,
        seed: int | None = None,
        encoding: Encoding | None = None,
        segmentation: Segmentation | None = None,
        job: JobOptions | None = None,
        progress: Progress | None = None,
        interrupt: Interrupt | None = None,
        reading: Reading | None = None,
    ) -> Report:
        """Upscale a video, a folder of pictures or, for "-", standard input by 2, 3 or 4; give the report of the job.

        The ending of ``target`` says what is written: a film with the source's frame times, colours, audio, subtitles
        and all else that the container holds; a name without an ending is a folder of PNG, "-" is standard output. It
        appears under its name when it is whole. A long film, and one that several engines share, is made in segments
        (``segmentation``); what is finished of it is kept when the job ends early, and ``job`` says where and whether
        to go on. ``interrupt`` asks such a job to end in order. Raises a :class:`ClientError`.
        """
        from flashvsr_client import fleet, pipeline  # they bring PyAV along, which sessions do without

        order = pipeline.Order(
            scale=scale,
            seed=seed,
            encoding=encoding or Encoding(),
            limits=self._limits,
            segmentation=segmentation or Segmentation(),
            job=job or JobOptions(),
            progress=progress or Silent(),
            interrupt=interrupt or Interrupt(),
            reading=reading or Reading(),
        )
        engines = fleet.fleet_of(self._endpoints, self._local)
        return pipeline.upscale_file(engines, Path(source), Path(target), order)

    def open_session(
        self,
        width: int,
        height: int,
        fps: float = 0.0,
        scale: int = 4,
        *,
        seed: int | None = None,
        depth: int = 8,
        segmentation: Segmentation | None = None,
        retry: RetryPolicy | None = None,
    ) -> Session:
        """Open a session for frames of ``width`` x ``height`` pixels; ``fps`` 0 means unknown.

        ``depth`` 8: frames are uint8, both ways; 16: uint16, where 65535 is white.

        When the engine loses it in mid-stream, another one is opened, at most as often in a row as ``retry`` says, and
        fed with the frames before the loss: ``segmentation`` says how many, and over how many frames, which are held
        back for it, the new one fades in.

        Raises :class:`UsageError`, :class:`InputError`, :class:`ServerUnreachableError`, :class:`ServerBusyError`,
        :class:`ServerError`, :class:`EngineUnavailableError`.
        """
        spec = StreamSpec(width, height, scale, fps, seed, depth=depth)
        stream = ReplayingStream(
            lambda first: open_first(self._endpoints, replace(spec, first_frame=first)),
            retry or JobOptions().retry,
            segmentation,
        )
        return Session(stream, spec)

    def ping(self) -> Sequence[Health]:
        """Ask every engine how it is, through the same path that frames take.

        Endpoints that do not answer are left out; :class:`ServerUnreachableError` where none does.
        """
        return [health for _, healths in ping_all(self._endpoints) for health in healths]

    def close(self) -> None:
        """Disconnect. Sessions that are still open are lost."""
        for endpoint in self._endpoints:
            endpoint.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Session:
    """One stream of frames, over as many of the engine's sessions as it takes. Made by :meth:`Client.open_session`.

    A context manager. :meth:`close` may be called from any thread, everything else belongs to one.
    """

    def __init__(self, stream: ReplayingStream, spec: StreamSpec) -> None:
        self._stream = stream
        self._spec = spec

    @property
    def info(self) -> StreamInfo:
        """Sizes of the output and the engine's schedule."""
        return self._stream.info

    @property
    def notes(self) -> Sequence[str]:
        """The sessions that were lost and replaced, a line each."""
        return self._stream.notes

    def upscale(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Give an upscaled frame, RGB [s*h, s*w, 3], for each of ``frames``, RGB [h, w, 3], in order.

        ``frames`` is iterated in a thread of its own, some chunks ahead of the output. A session takes one stream:
        call this once. Raises :class:`InputError` for a frame of another size, and what :meth:`Stream.receive` does.
        """
        info = self._stream.info
        counts = sizes(info.first_chunk, info.chunk, info.max_chunk_frames)
        chunks = chunked(frames, self._spec.width, self._spec.height, counts, self._spec.depth)
        return self._stream.exchange(chunks)

    def close(self) -> None:
        """Free the session here and at the engine."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _endpoints(
    server: str | Sequence[str], timeout: Timeout | None, retry: RetryPolicy | None, access: Access | None
) -> tuple[Endpoint, ...]:
    from flashvsr_client.transport.server import GrpcTransport

    addresses = [part.strip() for part in server.split(",")] if isinstance(server, str) else list(server)
    if not addresses or len(set(addresses)) < len(addresses):
        raise UsageError(f"server {server!r}: give each address once")
    reached = access or Access.read(os.environ)
    return tuple(
        Endpoint(address, GrpcTransport(address, timeout=timeout, retry=retry, access=reached)) for address in addresses
    )


def _wrapped(transport: Transport | Sequence[Transport]) -> tuple[Endpoint, ...]:
    if not isinstance(transport, Sequence):
        return (Endpoint("engine", transport),)
    return tuple(Endpoint(f"engine {place}", one) for place, one in enumerate(transport, 1))

"""The face of the package: `Client`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

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
from flashvsr_client.endpoints import endpoints_at, open_first, ping_all, wrapped
from flashvsr_client.errors import UsageError
from flashvsr_client.interrupt import Interrupt
from flashvsr_client.progress import Progress, Silent
from flashvsr_client.replay import ReplayingStream
from flashvsr_client.session import Session
from flashvsr_client.transport.base import Health, StreamSpec, Transport

if TYPE_CHECKING:
    from flashvsr_client.cluster.options import ClusterOptions
    from flashvsr_client.fleet import Fleet
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
        self._endpoints = endpoints_at(server, timeout, retry, access) if transport is None else wrapped(transport)
        self._local: tuple[LocalOptions, Sequence[str]] | None = None
        self._limits = limits or Limits()
        self._fleet: Fleet | None = None
        self._making = Lock()

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

    @classmethod
    def on_cluster(
        cls,
        cluster: ClusterOptions,
        options: LocalOptions | None = None,
        *,
        limits: Limits | None = None,
        address_of: Callable[[Path], str | None] = lambda _: None,
    ) -> Self:
        """Give a client whose files are made by the nodes of a Ray cluster; needs the extra `flashvsr-client[ray]`.

        ``options`` are those of the engine on each node. ``address_of`` gives the address that a file here was fetched
        from, for nodes to do the same. Nothing is connected before the first file; engines live until :meth:`close`.
        """
        from flashvsr_client.cluster.fleet import RayFleet

        client = cls(transport=(), limits=limits)
        client._fleet = RayFleet(options or LocalOptions(), cluster, address_of=address_of)
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
        spare: Callable[[], None] | None = None,
    ) -> Report:
        """Upscale a video, a folder of pictures or, for "-", standard input by 2, 3 or 4; give the report of the job.

        The ending of ``target`` says what is written: a film with the source's frame times, colours, audio, subtitles
        and all else that the container holds; a name without an ending is a folder of PNG, "-" is standard output. It
        appears under its name when it is whole. A long film, and one that several engines share, is made in segments
        (``segmentation``); what is finished of it is kept when the job ends early, and ``job`` says where and whether
        to go on. ``interrupt`` asks such a job to end in order. ``spare`` is called, from any thread, when the film
        leaves an engine without work, so that another thread may begin with the next where :attr:`shared` says so.
        Raises a :class:`ClientError`.
        """
        from flashvsr_client import pipeline  # it brings PyAV along, which sessions do without

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
            spare=spare or (lambda: None),
        )
        return pipeline.upscale_file(self._engines(), Path(source), Path(target), order)

    @property
    def shared(self) -> bool:
        """Whether files that are made at the same time, each in a thread, take turns at the engines, first come first.

        So it is on a cluster and on several devices of this machine; servers say themselves what they have room for.
        """
        return self._engines().shared

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
        if not self._endpoints:
            raise UsageError("a cluster takes whole files: open sessions on a server, or locally")
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
        """Disconnect. Sessions that are still open are lost, and engines on a cluster or in processes end."""
        if self._fleet is not None:
            self._fleet.close()
        for endpoint in self._endpoints:
            endpoint.close()

    def _engines(self) -> Fleet:
        with self._making:
            if self._fleet is None:
                from flashvsr_client.fleet import fleet_of

                self._fleet = fleet_of(self._endpoints, self._local)
            return self._fleet

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""The face of the package: `Client` and its `Session`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from flashvsr_client.chunks import Frame, chunked, sizes
from flashvsr_client.config import DEFAULT_SERVER, Encoding, Limits, LocalOptions, Reading, Retry, Timeout
from flashvsr_client.exchange import exchange
from flashvsr_client.progress import Progress, Silent
from flashvsr_client.transport.base import Health, Stream, StreamInfo, StreamSpec, Transport

if TYPE_CHECKING:
    from flashvsr_client.report import Report


class Client:
    """Upscales files and streams of frames, on a server or on an engine in this process.

    Safe to use from several threads: every file and every session has a stream of its own. Nothing is connected or
    loaded before it is needed. Use it as a context manager, or call :meth:`close`.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        timeout: Timeout | None = None,
        retry: Retry | None = None,
        limits: Limits | None = None,
        transport: Transport | None = None,
    ) -> None:
        """``server`` is HOST:PORT of a flashvsr-serve; ``transport``, when given, is used in its place.

        Raises :class:`UsageError` for an address that is none.
        """
        self._transport = transport or _grpc_transport(server, timeout, retry)
        self._limits = limits or Limits()

    @classmethod
    def local(cls, options: LocalOptions | None = None, *, limits: Limits | None = None) -> Self:
        """Give a client whose engine runs in this process; needs the extra `flashvsr-client[local]`."""
        from flashvsr_client.transport.local import LocalTransport

        return cls(transport=LocalTransport(options), limits=limits)

    def upscale_file(
        self,
        source: str | Path,
        target: str | Path,
        scale: int = 4,
        *,
        seed: int | None = None,
        encoding: Encoding | None = None,
        progress: Progress | None = None,
        reading: Reading | None = None,
    ) -> Report:
        """Upscale a video, a folder of pictures or, for "-", standard input by 2, 3 or 4; give the report of the job.

        The ending of ``target`` says what is written: a film with the source's frame times, colours, audio, subtitles
        and all else that the container holds; a name without an ending is a folder of PNG, "-" is standard output. It
        appears under its name when it is whole. Raises a :class:`ClientError`; nothing is left then.
        """
        from flashvsr_client import pipeline  # brings PyAV along, which sessions do without

        return pipeline.upscale_file(
            self._transport,
            Path(source),
            Path(target),
            scale=scale,
            seed=seed,
            encoding=encoding or Encoding(),
            limits=self._limits,
            progress=progress or Silent(),
            reading=reading,
        )

    def open_session(
        self, width: int, height: int, fps: float = 0.0, scale: int = 4, *, seed: int | None = None, depth: int = 8
    ) -> Session:
        """Open a session for frames of ``width`` x ``height`` pixels; ``fps`` 0 means unknown.

        ``depth`` 8: frames are uint8, both ways; 16: uint16, where 65535 is white.

        Raises :class:`UsageError`, :class:`InputError`, :class:`ServerUnreachableError`, :class:`ServerBusyError`,
        :class:`ServerError`, :class:`EngineUnavailableError`.
        """
        spec = StreamSpec(width, height, scale, fps, seed, depth)
        return Session(self._transport.open(spec), spec)

    def ping(self) -> Sequence[Health]:
        """Ask every engine how it is, through the same path that frames take."""
        return self._transport.ping()

    def close(self) -> None:
        """Disconnect. Sessions that are still open are lost."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Session:
    """One stream of frames. Made by :meth:`Client.open_session`; a context manager.

    :meth:`close` may be called from any thread, everything else belongs to one.
    """

    def __init__(self, stream: Stream, spec: StreamSpec) -> None:
        self._stream = stream
        self._spec = spec

    @property
    def info(self) -> StreamInfo:
        """Sizes of the output and the engine's schedule."""
        return self._stream.info

    def upscale(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Give an upscaled frame, RGB [s*h, s*w, 3], for each of ``frames``, RGB [h, w, 3], in order.

        ``frames`` is iterated in a thread of its own, some chunks ahead of the output. A session takes one stream:
        call this once. Raises :class:`InputError` for a frame of another size, and what :meth:`Stream.receive` does.
        """
        info = self._stream.info
        counts = sizes(info.first_chunk, info.chunk, info.max_chunk_frames)
        return exchange(self._stream, chunked(frames, self._spec.width, self._spec.height, counts, self._spec.depth))

    def close(self) -> None:
        """Free the session here and at the engine."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _grpc_transport(server: str, timeout: Timeout | None, retry: Retry | None) -> Transport:
    from flashvsr_client.transport.server import GrpcTransport

    return GrpcTransport(server, timeout=timeout, retry=retry)

"""A stream of frames that a caller brings: frames in, upscaled frames out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from types import TracebackType
from typing import Self

from flashvsr_client.chunks import Frame, chunked, sizes
from flashvsr_client.replay import ReplayingStream
from flashvsr_client.transport.base import StreamInfo, StreamSpec


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

"""`FlashVSREngine.step_many`: frames pushed to several sessions at once."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ReferenceType, ref

from torch import Tensor

from flashvsr_engine.errors import SessionStateError
from flashvsr_engine.feed import Feed, running
from flashvsr_engine.frames import Frames
from flashvsr_engine.graphs import ChunkGraphs, GraphPool, steady
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.session import Session
from flashvsr_engine.together import compute_together, shape


class Group:
    """Pushes to sessions of one engine. A group of sessions that comes again is recorded as CUDA graphs."""

    def __init__(self, pool: GraphPool | None) -> None:
        self._pool = pool
        self._last: tuple[ReferenceType[Feed], ...] = ()
        self._graphs: ChunkGraphs | None = None

    def push(self, sessions: Sequence[Session], frames: Sequence[Frames]) -> list[Frames]:
        """See `FlashVSREngine.step_many`."""
        if len({id(session) for session in sessions}) < len(sessions):
            raise SessionStateError("A session comes twice in one step: join its frames.")
        for session in sessions:
            session.feed.require_open()
        for session, taken in zip(sessions, frames, strict=True):
            session.accept(taken)
        made: dict[int, list[Tensor]] = {id(session.feed): [] for session in sessions}
        while ready := [session.feed for session in sessions if session.feed.ready]:
            for feeds in _alike(ready):
                for feed, out in zip(feeds, self._run(feeds), strict=True):
                    made[id(feed)].append(out)
        return [session.result(made[id(session.feed)]) for session in sessions]

    def _run(self, feeds: Sequence[Feed]) -> list[Tensor]:
        """The next chunk of each."""
        if len(feeds) == 1:
            return [feeds[0].run()]
        with running(feeds):
            frames, states = [feed.next_frames() for feed in feeds], [feed.state for feed in feeds]
            graphs = self._graphs_of(feeds)
            if graphs is not None:
                outs = graphs.run(states, frames)
            else:
                streams, chunks = [feed.stream for feed in feeds], [Chunk(state.chunks) for state in states]
                there = [taken.to(streams[0].device) for taken in frames]
                outs = compute_together(streams, states, chunks, there, [chunk.first_latent for chunk in chunks])
                for state in states:
                    state.chunks += 1
            return [feed.book(len(taken), out) for feed, taken, out in zip(feeds, frames, outs, strict=True)]

    def _graphs_of(self, feeds: Sequence[Feed]) -> ChunkGraphs | None:
        """Those of just these streams, when they came the last time as well."""
        if self._pool is None or not all(feed.graphs is not None and steady(feed.state) for feed in feeds):
            return None
        group = tuple(ref(feed) for feed in feeds)
        if group != self._last:
            self._last = group
            if self._graphs is not None:
                self._graphs.clear()
            self._graphs = None
        elif self._graphs is None:
            self._graphs = ChunkGraphs([feed.stream for feed in feeds], self._pool, compute_together)
        return self._graphs


def _alike(feeds: Sequence[Feed]) -> list[list[Feed]]:
    """Those whose next chunks have one shape together; one by one those that cannot be joined."""
    groups: dict[object, list[Feed]] = {}
    for feed in feeds:
        groups.setdefault(shape(feed.stream, feed.state) or id(feed), []).append(feed)
    return list(groups.values())

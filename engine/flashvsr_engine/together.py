"""Several streams of one shape through the network at once.

What concerns each token or each pixel by itself runs as one batch. Each stream keeps its own KV cache and memories:
they are joined for the chunk and handed back after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from flashvsr_engine.decode import Guides, decoded_frames, finished_frames
from flashvsr_engine.denoise import noise_of, positions_of
from flashvsr_engine.devices import exact
from flashvsr_engine.errors import SessionStateError
from flashvsr_engine.feed import Feed, running
from flashvsr_engine.frames import Frames, upscale
from flashvsr_engine.kvwindow import ChunkWindows, JointWindows
from flashvsr_engine.model import ProjectorMemory, Rotation
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.session import Session
from flashvsr_engine.steps import Steps


def push_many(sessions: Sequence[Session], frames: Sequence[Frames]) -> list[Frames]:
    """See `FlashVSREngine.step_many`."""
    if len({id(session) for session in sessions}) < len(sessions):
        raise SessionStateError("A session comes twice in one step: join its frames.")
    for session in sessions:
        session.feed.require_open()
    for session, taken in zip(sessions, frames, strict=True):
        session.accept(taken)
    made: dict[int, list[Tensor]] = {id(session): [] for session in sessions}
    while ready := [session for session in sessions if session.feed.ready]:
        for group in _groups(ready):
            feeds = [session.feed for session in group]
            outs = _run(feeds) if len(feeds) > 1 else [feeds[0].run()]
            for session, out in zip(group, outs, strict=True):
                made[id(session)].append(out)
    return [session.result(made[id(session)]) for session in sessions]


def _groups(sessions: Sequence[Session]) -> Iterator[list[Session]]:
    """Sessions whose next chunks have one shape; one by one those that cannot be joined."""
    groups: dict[object, list[Session]] = {}
    for session in sessions:
        groups.setdefault(_shape(session.feed) or id(session), []).append(session)
    yield from groups.values()


def _shape(feed: Feed) -> object | None:
    """What streams must have in common to run together; None for one that must run by itself.

    The first chunks are long, and windows that are still being filled differ in length.
    """
    stream, state = feed.stream, feed.state
    plain = stream.steps == Steps(decode_latents=stream.steps.decode_latents) and stream.network.vae is None
    if not plain or not state.chunks or state.kv.used < state.kv.spec.capacity:
        return None
    return (stream.geometry, stream.output, stream.steps)


@torch.inference_mode()
def _run(feeds: Sequence[Feed]) -> list[Tensor]:
    """One steady chunk of each stream."""
    with running(feeds), exact(feeds[0].stream.dtype):
        frames = [feed.next_frames() for feed in feeds]
        lqs = [upscale(f.to(feed.stream.device), feed.stream.geometry) for f, feed in zip(frames, feeds, strict=True)]
        outs = _decoded(feeds, _latents(feeds, torch.cat(lqs)), lqs)
        for feed in feeds:
            feed.state.chunks += 1
        return [feed.book(len(taken), out) for feed, taken, out in zip(feeds, frames, outs, strict=True)]


def _latents(feeds: Sequence[Feed], lq: Tensor) -> Tensor:
    """The chunks' latents (streams, 16, 2, H/8, W/8)."""
    stream, states = feeds[0].stream, [feed.state for feed in feeds]
    chunks = [Chunk(state.chunks) for state in states]
    places = [(feed.stream, chunk, chunk.first_latent) for feed, chunk in zip(feeds, chunks, strict=True)]
    noise = torch.cat([noise_of(*place) for place in places])
    positions = Rotation.stacked([positions_of(*place) for place in places])
    memory = ProjectorMemory.joined([state.projector for state in states])
    with stream.residency.present(then_unload=False):
        tokens, memory = stream.network.projector(lq.to(stream.dtype), memory)
        windows = JointWindows([ChunkWindows(state.kv, 1) for state in states])
        velocity = stream.network.dit(noise, tokens, stream.conditioning, positions, windows, stream.attention)
    for i, state in enumerate(states):
        state.projector = ProjectorMemory(*(t.clone() for t in memory.part(i, i + 1).tensors()))
        state.kv.advance(1)
    return noise - velocity


def _decoded(feeds: Sequence[Feed], latents: Tensor, lqs: Sequence[Tensor]) -> list[Tensor]:
    """The chunks' output frames."""
    states = [feed.state for feed in feeds]
    guides = [Guides(state.lq_tail, lq) for state, lq in zip(states, lqs, strict=True)]
    guide = torch.cat([g.of_latents(0, latents.shape[2]) for g in guides])
    memory = tuple(torch.cat(frames) for frames in zip(*(state.decoder or () for state in states), strict=True))
    decoded, kept = decoded_frames(feeds[0].stream, latents, guide, memory)
    outs = []
    for i, feed in enumerate(feeds):
        feed.state.lq_tail = guides[i].tail
        feed.state.decoder = tuple(t[i : i + 1].clone() for t in kept)  # a view would hold the others' as well
        outs.append(finished_frames(feed.stream, decoded[i], guide[i], skipped=0))
    return outs

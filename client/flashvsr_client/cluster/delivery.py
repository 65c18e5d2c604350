"""How a film comes to the nodes: read in place where a node sees the driver's files, else fetched or sent.

A film is looked for under the driver's path first; where it is not there, or is another file, a node fetches it from
the address that it came from, if it came from one; else it is sent in pieces, once to each node.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Final
from uuid import uuid4

from flashvsr_client.cluster.connection import Actor, Call, Connection
from flashvsr_client.cluster.node_actor import ANSWERED, ASKED, Mark, NodeActor, mark
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.cluster.placement import Node
from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import InputError, OutputError, ServerError, SessionLostError
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.segment_run import Work

PIECE: Final = 16 << 20
"""Bytes that travel at once; memory is bounded by a few of these, not by the film."""
_AHEAD: Final = 2
_ANSWER_SECONDS: Final = 60.0


class Deliveries:
    """Knows what is where. Safe to use from several threads."""

    def __init__(
        self, connection: Connection, options: ClusterOptions, address_of: Callable[[Path], str | None]
    ) -> None:
        """``address_of`` gives the address from which a file here was fetched."""
        self._connection = connection
        self._options = options
        self._address_of = address_of
        self._nodes: dict[str, Actor] = {}
        self._there: dict[tuple[str, Path, Mark], Path] = {}
        self._marks: dict[Path, Mark] = {}
        self._turns: defaultdict[str, Lock] = defaultdict(Lock)
        self._making = Lock()
        self._needed: Counter[Path] = Counter()

    @contextmanager
    def needing(self, info: VideoInfo) -> Iterator[None]:
        """Keep a film on the nodes for the time of a block; what was brought there for it goes with the last block."""
        with self._making:
            self._needed.update(_files(info))
        try:
            yield
        finally:
            self._needed_no_more(info)

    def to(self, node: Node, work: Work, stop: Event) -> Work:
        """Have the film on a node, once, and give the work with the paths that it has there.

        Raises :class:`SessionLostError` for a node that is gone, :class:`ServerError` for one that cannot keep it or
        has to see it and does not, :class:`InputError` for a film that is not here any more, :class:`Stopped`.
        """
        info = work.info
        with self._turn(node):
            paths = [self._path(node, path, stop) for path in _files(info)]
        there = replace(info, pictures=tuple(paths)) if info.pictures else replace(info, path=paths[0])
        return replace(work, info=there)

    def sees(self, node: Node, info: VideoInfo) -> bool:
        """Whether a node sees the film under its path here."""
        return all(self._seen(node, path) for path in _files(info))

    def shares(self, node: Node, folder: Path) -> bool:
        """Whether a node sees ``folder`` and can write there; asks by a file. Raises as :meth:`to` does."""
        if self._options.files == "sent":
            return False
        word = uuid4().hex
        asked, answered = folder / ASKED, folder / ANSWERED
        try:
            with disk_errors(asked):
                asked.write_text(word)
            said = self._actor(node).call("shares", folder.resolve(), word).result(_ANSWER_SECONDS)
            found = bool(said) and answered.is_file() and answered.read_text() == word
        finally:
            for path in (asked, answered):
                path.unlink(missing_ok=True)
        if not found and self._options.files == "shared":
            raise ServerError(unseen(node, folder.parent.parent))
        return found

    def forget(self, node: Node) -> None:
        """What is on a node is lost."""
        with self._making:
            if (actor := self._nodes.pop(node.id, None)) is not None:
                actor.end(for_good=True)
            for key in [key for key in self._there if key[0] == node.id]:
                del self._there[key]

    def _needed_no_more(self, info: VideoInfo) -> None:
        with self._making:
            self._needed.subtract(_files(info))
            over = {path for path in _files(info) if not self._needed[path]}
            for key in [key for key in self._there if key[1] in over]:
                place = self._there.pop(key)
                if place != key[1] and key[0] in self._nodes:
                    with suppress(SessionLostError):  # what is gone has nothing left, so nobody waits either
                        self._nodes[key[0]].call("drop", place.name)

    def _path(self, node: Node, path: Path, stop: Event) -> Path:
        key = (node.id, path, self._mark(path))
        if key not in self._there:
            if self._options.files != "sent" and self._seen(node, path):
                self._there[key] = path
            elif self._options.files == "shared":
                raise ServerError(unseen(node, path))
            else:
                self._there[key] = self._brought(node, path, stop)
        return self._there[key]

    def _seen(self, node: Node, path: Path) -> bool:
        return bool(self._actor(node).call("sees", path, self._mark(path)).result(_ANSWER_SECONDS))

    def _brought(self, node: Node, path: Path, stop: Event) -> Path:
        actor, name, address = self._actor(node), f"{uuid4().hex}{path.suffix}", self._address_of(path)
        try:
            if address is not None:
                place = actor.call("fetch", address, name, self._mark(path).size).awaited(stop)
                if place is not None:
                    return Path(place)
            return _sent(actor, path, name, stop)
        except OutputError as error:
            raise ServerError(f"node {node.name} cannot keep {path.name}: {error}") from error

    def _mark(self, path: Path) -> Mark:
        """Looked at again only where its size or its date is another one."""
        try:
            known, now = self._marks.get(path), path.stat()
            if known is None or (known.size, known.modified_ns) != (now.st_size, now.st_mtime_ns):
                known = self._marks[path] = mark(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read any more ({error.strerror}): put it back and resume") from error
        return known

    def _turn(self, node: Node) -> Lock:
        with self._making:
            return self._turns[node.id]

    def _actor(self, node: Node) -> Actor:
        with self._making:
            if node.id not in self._nodes:
                made = self._connection.spawn(f"node {node.name}", NodeActor, self._options.scratch, node=node.id)
                self._nodes[node.id] = made
            return self._nodes[node.id]


def unseen(node: Node, path: Path) -> str:
    """What is said where files have to be shared and are not."""
    return f"node {node.name} does not see {path}, or sees another file: mount it there, or leave --ray-files at auto"


def _files(info: VideoInfo) -> list[Path]:
    return [path.resolve() for path in info.pictures or (info.path,)]


def _sent(actor: Actor, path: Path, name: str, stop: Event) -> Path:
    """Send a file in pieces, of which a few are on their way at once."""
    under_way: list[Call] = []
    place, offset = Path(name), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            under_way.append(actor.call("take", name, offset, piece))
            offset += len(piece)
            if len(under_way) > _AHEAD:
                place = under_way.pop(0).awaited(stop)
    for call in under_way:
        place = call.awaited(stop)
    return place

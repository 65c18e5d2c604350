"""What a job is and what of it is finished: one JSON file in the job's folder, written whole or not at all.

JOB/
├── journal.json          this
├── lock                  held by the process that works on the job, and by no other
├── segment-00003/        a finished segment: body.nut, and head.npy and tail.npy until their seams are made
├── seam-00003.nut        the faded overlap of segments 3 and 4
└── attempts/             what is being made

A job is its input's content (size and SHA-256 of the whole file), its options and the model: names and dates say
nothing. A file counts as finished once the journal lists it and it is there in the size that the journal says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import InputError, UsageError
from flashvsr_client.media.decode import Moment
from flashvsr_client.media.parts import Part
from flashvsr_client.media.whole import whole_or_nothing
from flashvsr_client.segment_run import SegmentResult
from flashvsr_client.segments import Segment

VERSION: Final = 1
NAME: Final = "journal.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """What must agree, or the frames would be others."""

    size: int
    """Bytes of the input."""
    sha256: str
    """Of the input, all of it."""
    model: str
    options: Mapping[str, Any]
    """Everything else that the output depends on, by name."""

    def differences(self, other: Identity) -> list[str]:
        """Say what differs: "crf 18, not 20"."""
        content = (self.size, self.sha256) != (other.size, other.sha256)
        found = [f"another input (of {self.size} bytes, not {other.size})"] * content
        if self.model != other.model:
            found.append(f"model {self.model}, not {other.model}")
        for name in sorted({*self.options, *other.options}):
            mine, theirs = self.options.get(name), other.options.get(name)
            if mine != theirs:
                found.append(f"{name} {_said(mine)}, not {_said(theirs)}")
        return found


def _said(value: object) -> str:
    return "unset" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Journal:
    """A job on the disk. Immutable: each step gives a new one, which :meth:`save` writes."""

    folder: Path
    source: Path
    target: Path
    identity: Identity
    frames: int
    """Of the film."""
    segments: tuple[Segment, ...]
    command: tuple[str, ...]
    """That resumes the job."""
    done: Mapping[int, SegmentResult] = field(default_factory=dict)
    """Finished segments by their numbers."""
    seams: Mapping[int, Part] = field(default_factory=dict)
    """Finished overlaps by the number of the earlier segment."""

    @property
    def pending(self) -> list[Segment]:
        """The segments that are still to be made."""
        return [segment for segment in self.segments if segment.index not in self.done]

    @property
    def frames_done(self) -> int:
        """Frames of the film in finished segments; an overlap counts for the later one."""
        return sum(len(s.head) + len(s.body) for s in self.segments if s.index in self.done)

    def with_segment(self, result: SegmentResult) -> Journal:
        """Add a finished segment."""
        return replace(self, done={**self.done, result.index: result})

    def with_seam(self, index: int, part: Part) -> Journal:
        """Add a finished overlap."""
        return replace(self, seams={**self.seams, index: part})

    def save(self) -> None:
        """Write it. Raises :class:`OutputError`; the journal on the disk is then as it was."""
        path = self.folder / NAME
        with disk_errors(path), whole_or_nothing(path) as unfinished:
            unfinished.write_text(json.dumps(self._as_json(), indent=1))

    def _as_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "source": str(self.source),
            "target": str(self.target),
            "identity": {**asdict(self.identity), "options": dict(self.identity.options)},
            "frames": self.frames,
            "segments": [asdict(segment) for segment in self.segments],
            "command": list(self.command),
            "done": [asdict(result) for result in self.done.values()],
            "seams": {str(index): asdict(part) for index, part in self.seams.items()},
        }


def load(folder: Path) -> Journal:
    """Read the journal of a job's folder.

    Raises :class:`InputError` where there is none or it is damaged, :class:`UsageError` for one of another version.
    """
    path = folder / NAME
    try:
        told = json.loads(path.read_text())
        if (version := told["version"]) != VERSION:
            raise UsageError(
                f"{path} is of version {version}, this program writes {VERSION}: finish the job with the program that "
                "began it, or delete its folder"
            )
        return Journal(
            folder=folder,
            source=Path(told["source"]),
            target=Path(told["target"]),
            identity=Identity(**told["identity"]),
            frames=told["frames"],
            segments=tuple(Segment(**segment) for segment in told["segments"]),
            command=tuple(told["command"]),
            done={result["index"]: _result(result) for result in told["done"]},
            seams={int(index): Part(**part) for index, part in told["seams"].items()},
        )
    except OSError as error:
        raise InputError(f"{folder} is no job's folder ({error.strerror}): `flashvsr jobs` lists them") from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise InputError(f"{path} is damaged: delete the job's folder and begin again") from error


def _result(told: dict[str, Any]) -> SegmentResult:
    edges = {name: tuple(Moment(**moment) for moment in told[name]) for name in ("head", "tail")}
    return SegmentResult(**{**told, "body": Part(**told["body"]), **edges})

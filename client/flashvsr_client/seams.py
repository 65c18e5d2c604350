"""The overlap of two finished segments: faded and encoded as a part of its own."""

from __future__ import annotations

from flashvsr_client import jobfolder
from flashvsr_client.edges import read_edge
from flashvsr_client.journal import Journal
from flashvsr_client.media.parts import Part, finished, writing_part
from flashvsr_client.merge import faded
from flashvsr_client.segment_run import Work


def due(journal: Journal) -> list[int]:
    """The overlaps that can be made now, by the number of the earlier segment."""
    return [
        segment.index
        for segment in journal.segments
        if segment.overlap_after
        and segment.index in journal.done
        and segment.index + 1 in journal.done
        and segment.index not in journal.seams
    ]


def make(journal: Journal, index: int, work: Work) -> Part:
    """Fade segment ``index`` into the next one, frame by frame. Raises :class:`OutputError`."""
    folder = journal.folder
    before = read_edge(jobfolder.tail_file(folder, index))
    after = read_edge(jobfolder.head_file(folder, index + 1))
    moments = journal.done[index + 1].head
    path = jobfolder.seam_file(folder, index)
    with writing_part(path, work.info, work.made) as writer:
        for place, moment in enumerate(moments):
            writer.write(faded(before[place], after[place], place, len(moments)), moment)
    return finished(path, writer)

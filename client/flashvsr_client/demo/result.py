"""What came out, in a picture: beside the input, bicubic interpolation and, where it is known, the truth."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from flashvsr_client.compare import montage
from flashvsr_client.compare.pairs import resized
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe


def side_by_side(target: Path, small: Path, ours: Path, index: int, truth: Path | None) -> None:
    """Write a PNG of frame ``index``: the same part of the picture, in labelled tiles."""
    low, high, *true = (
        next(islice(decode(probe(path)), index, None)).picture for path in (small, ours, truth) if path is not None
    )
    height, width = high.shape[:2]
    tiles = [
        ("input, pixels enlarged", montage.repeated(low, width, height)),
        ("bicubic", resized(low, width, height)),
        ("FlashVSR", high),
        *(("truth", picture) for picture in true),
    ]
    montage.write(target, tiles, montage.Crop())

"""x264 without AVX-512, in which the same frames do not always become the same bytes.

Its macroblock tree, at AVX-512, reads past the end of a row of macroblocks, so what memory held before weighs in where
bits go: sixteen encodings of one clip gave up to three files, at widths from 32 to 1920. A job that is resumed, or that
several machines share, would not give the file of one that ran through. With AVX2 it does, at the same speed
(bench/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_NAMES: Final = ("libx264", "libx264rgb")
_PARAMETERS: Final = "x264-params"
_LESS: Final = "asm=AVX2,FMA3,BMI1,BMI2,LZCNT"
"""All that a processor with AVX-512 has beside it; x264 does not check what it is told."""
_PROCESSORS: Final = Path("/proc/cpuinfo")


def same_bytes(codec: str, options: Mapping[str, str], processors: Path = _PROCESSORS) -> dict[str, str]:
    """Give the encoder's options with what makes one clip one file, on the machine that this is called on.

    They are as they were for other encoders, where there is no AVX-512, and where that cannot be read. What they say of
    ``asm`` themselves holds.
    """
    if codec not in _NAMES or not _has_avx512(processors):
        return dict(options)
    said = (_LESS, options[_PARAMETERS]) if _PARAMETERS in options else (_LESS,)
    return {**options, _PARAMETERS: ":".join(said)}


def _has_avx512(processors: Path) -> bool:
    try:
        return "avx512f" in processors.read_text().split()
    except OSError:
        return False

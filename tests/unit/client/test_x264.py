"""One clip is one file, whatever memory held before and whatever the processor has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flashvsr_client.media.x264 import same_bytes

ENCODE = """
import hashlib, io, av, numpy as np
from flashvsr_client.media.x264 import same_bytes
target, options = io.BytesIO(), same_bytes("libx264", {"crf": "18", "threads": "8"})
noise = np.random.default_rng(0).integers(0, 32, (144, 236, 3), dtype=np.uint8)
noise += (np.arange(236) % 200).astype(np.uint8)[:, None]
with av.open(target, "w", format="mp4") as output:
    stream = output.add_stream("libx264", rate=25, options=options, width=176, height=144)
    for first in range(60):
        picture = np.ascontiguousarray(noise[:, first : first + 176])
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
    output.mux(stream.encode(None))
print(hashlib.sha256(target.getvalue()).hexdigest())
"""


def processors(path: Path, flags: str) -> Path:
    path.write_text(f"processor\t: 0\nflags\t\t: fpu mmx sse2 avx2 {flags}\n")
    return path


def test_avx512_is_left_out_where_it_is(tmp_path: Path) -> None:
    with_it, without = processors(tmp_path / "with", "avx512f avx512bw"), processors(tmp_path / "without", "")
    assert same_bytes("libx264", {"crf": "18"}, without) == {"crf": "18"}
    assert same_bytes("libx264", {}, tmp_path / "no such file") == {}
    assert same_bytes("libx265", {}, with_it) == {}
    made = same_bytes("libx264", {"crf": "18", "x264-params": "keyint=50:asm=SSE2"}, with_it)
    assert made == {"crf": "18", "x264-params": "asm=AVX2,FMA3,BMI1,BMI2,LZCNT:keyint=50:asm=SSE2"}


@pytest.mark.parametrize("filled", ["85", "170", "254"])
def test_what_memory_held_before_changes_no_byte(filled: str) -> None:
    def encoded(byte: str) -> str:
        environment = {**os.environ, "MALLOC_PERTURB_": byte}  # the GNU C library fills what it gives out
        command = [sys.executable, "-c", ENCODE]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert encoded(filled) == encoded("1")

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from flashvsr_engine.devices import exact, resolve_device, resolve_dtype

CPU = torch.device("cpu")


def test_auto_is_the_best_that_is_there() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_dtype("auto", CPU) in (torch.bfloat16, torch.float32)
    assert resolve_dtype("fp16", CPU) is torch.float16


def test_exact_is_undone() -> None:
    before = torch.backends.cudnn.allow_tf32
    with exact(torch.bfloat16):
        assert torch.backends.cudnn.allow_tf32 == before
    with exact(torch.float32):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")
def test_freed_memory_is_kept() -> None:
    """In a process of its own: page faults of a block that is allocated for the second time, with and without."""
    script = """
import ctypes, resource, sys
from flashvsr_engine.devices import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(77)
libc, size = ctypes.CDLL(None), 1 << 26
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    libc.memset(block, 1, size)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    runs = [
        subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, check=False)
        for how in ("give", "keep")
    ]
    if runs[1].returncode == 77:
        pytest.skip("this C library has no mallopt")
    given, kept = (int(run.stdout) for run in runs)
    assert kept < given / 4

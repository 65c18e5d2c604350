"""``flashvsr-engine`` in a pipe whose reader goes, as in ``flashvsr-engine weights info builtin | head -1``."""

from __future__ import annotations

import os
import subprocess
import sys

COMMAND = "from flashvsr_engine.cli import main; main(['weights', 'info', 'builtin'])"


def test_a_reader_that_has_seen_enough_makes_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")

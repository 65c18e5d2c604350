"""Workers that die while a server starts: which deaths are final, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from flashvsr_handler.serve.births import Births

PREFIX = "2026-01-01T00:00:00,000 INFO  W-9000-flashvsr0_0.1.0-stdout - "
IMPORT_FAILED = """Torch worker started.
Backend worker process died.
Traceback (most recent call last):
  File "site-packages/ts/model_loader.py", line 108, in load
    module, function_name = self._load_handler_file(handler)
ImportError: libcudart.so.12: cannot open shared object file

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "site-packages/ts/model_service_worker.py", line 301, in <module>
    worker.run_server()
ModuleNotFoundError: No module named 'ts.torch_handler.flashvsr_handler'"""
CAUSED = """Traceback (most recent call last):
  File "weights.py", line 3, in load
KeyError: 'blocks.0'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "entry.py", line 52, in initialize
flashvsr_engine.errors.WeightsError: the file has no blocks.0: fetch it again"""


class Workers:
    """Those that run, as the test says."""

    def __init__(self, log: Path) -> None:
        self.pids: set[int] = set()
        self.births = Births(lambda: self.pids, log)

    def become(self, *pids: int) -> str | None:
        self.pids = set(pids)
        return self.births.failure()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (IMPORT_FAILED, "ImportError: libcudart.so.12: cannot open shared object file"),
        (CAUSED, "flashvsr_engine.errors.WeightsError: the file has no blocks.0: fetch it again"),
        (f"{CAUSED}\n{IMPORT_FAILED}", "ImportError: libcudart.so.12: cannot open shared object file"),
    ],
)
def test_a_worker_that_dies_of_an_exception_is_final_and_says_the_first_reason(
    tmp_path: Path, said: str, reason: str
) -> None:
    log = tmp_path / "model.log"
    workers = Workers(log)
    assert workers.become(7) is None
    log.write_text("".join(f"{PREFIX}{line}\n" for line in said.splitlines()))
    assert workers.become(7) is None
    assert workers.become() == reason


def test_a_worker_that_is_killed_may_be_started_once_more(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "no log on a full disk")
    for pids in ((), (7,), (7,), (), (8,)):
        assert workers.become(*pids) is None
    assert workers.become() == "its process ended 2 times while it loaded"

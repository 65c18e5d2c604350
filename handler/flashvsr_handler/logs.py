"""The worker's log: quiet unless asked, one line a record, as text or as JSON.

Everything of ours is logged under "flashvsr_handler"; what belongs to a request carries its session, shortened so
that a log cannot be used to take a session over, and its request id.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

ROOT: Final = "flashvsr_handler"
SHOWN: Final = 8
"""Characters of a session id, which has 24."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a log record is about."""

    session: str = ""
    request: str = ""


_SUBJECT: Final[ContextVar[Subject]] = ContextVar("subject", default=Subject())  # noqa: B039 - frozen


@contextmanager
def about(session_id: str, request_id: str) -> Iterator[None]:
    """Put the session and the request into all records that this thread writes in the block."""
    token = _SUBJECT.set(Subject(session_id[:SHOWN], request_id))
    try:
        yield
    finally:
        _SUBJECT.reset(token)


def set_up(log_format: str, level: str) -> None:
    """Send our records to stdout, which TorchServe keeps in model.log; calling it again replaces the first setting."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class TextFormatter(logging.Formatter):
    """``WARNING sessions [abcd1234 7]: what happened``."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`; several lines become one, and what cannot be seen becomes "?"."""
        subject = _SUBJECT.get()
        words = " ".join(filter(None, (subject.session, subject.request)))
        where = f"{record.name.removeprefix(ROOT + '.')}{f' [{words}]' if words else ''}"
        text = f"{record.levelname} {where}: {record.getMessage()}"
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        return "".join(letter if letter.isprintable() else "?" for letter in " | ".join(text.splitlines()))


class JsonFormatter(logging.Formatter):
    """One object with time, level, logger, message and, where they are known, session, request and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        subject = _SUBJECT.get()
        fields = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "session": subject.session,
            "request": subject.request,
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in fields.items() if value != ""})

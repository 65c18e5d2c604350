"""Whether a server answers: ``flashvsr-serve --check`` with the options that the server was started with."""

from __future__ import annotations

import sys
from typing import Final

from flashvsr_handler.serve.errors import Exit
from flashvsr_handler.serve.health import Doctor, own_address
from flashvsr_handler.serve.options import Options
from flashvsr_handler.serve.tls import Certificate

TIMEOUT_S: Final = 10.0
FIRST_MODEL: Final = "flashvsr0"


def check(options: Options, certificate: Certificate | None) -> Exit:
    """Ping every model of the server through its handler; say what each answers.

    ``STOPPED`` (0) when all answer, ``NOT_READY`` when one does not or when the server drains: it takes no sessions.
    """
    doctor = Doctor(own_address(f"{options.host}:{options.grpc_port}"), certificate, options.settings.auth_file)
    with doctor.channel() as channel:
        first = doctor.ping(channel, FIRST_MODEL, TIMEOUT_S).pong()
        if first is None:
            sys.stdout.write("no answer\n")
            return Exit.NOT_READY
        pongs = {name: doctor.ping(channel, name, TIMEOUT_S).pong() for name in first.models}
    for name, pong in pongs.items():
        state = "no answer" if pong is None else f"{pong.model} on {pong.device}, {pong.sessions} sessions"
        sys.stdout.write(f"{name}: {state}{', draining' if pong is not None and pong.draining else ''}\n")
    ready = all(pong is not None and not pong.draining for pong in pongs.values())
    return Exit.STOPPED if ready else Exit.NOT_READY

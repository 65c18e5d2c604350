"""The command: options in, exit code out."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Final

from flashvsr_handler.auth import Tokens
from flashvsr_handler.serve.check import check
from flashvsr_handler.serve.devices import visible_gpus
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.health import Doctor, own_address
from flashvsr_handler.serve.java import find_java
from flashvsr_handler.serve.options import Options, parse
from flashvsr_handler.serve.ports import LOOPBACK, Ports, choose_ports
from flashvsr_handler.serve.process import TorchServe
from flashvsr_handler.serve.rundir import RunDir, write_run_dir
from flashvsr_handler.serve.signals import StopSignals
from flashvsr_handler.serve.supervisor import Supervisor
from flashvsr_handler.serve.tls import Certificate
from flashvsr_handler.settings import SettingsError

LOOPBACK_NAMES: Final = (LOOPBACK, "localhost")
KEEPS_LOGS: Final = (Exit.NOT_READY, Exit.SERVER_DIED)
"""After these ends a temporary run directory stays: the message names its logs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return one of :class:`Exit`."""
    try:
        return _serve(parse(arguments, os.environ))
    except ServeError as error:
        _say(str(error))
        return error.exit_code
    except SettingsError as error:
        _say(str(error))
        return Exit.USAGE


def _serve(options: Options) -> Exit:
    certificate = Certificate.of(options.settings)
    Tokens(options.settings.auth_file)
    if options.check:
        return check(options, certificate)
    signals = StopSignals()
    signals.listen()
    java = find_java(os.environ)
    gpus = visible_gpus(options.settings.device, os.environ)
    ports = choose_ports(options.hosts, options.grpc_port, options.http_port, options.direct_ports(max(1, gpus)))
    run = write_run_dir(options, ports, gpus)
    if options.host not in LOOPBACK_NAMES and not options.settings.auth_file:
        _say(f"listening on {options.host}: whoever reaches this port may use the server; give --auth and TLS")
    ended = Exit.SERVER_DIED
    try:
        ended = _run(options, java, run, ports, signals, certificate)
    except ServeError as error:
        ended = error.exit_code
        raise
    finally:
        if options.run_dir is None and ended not in KEEPS_LOGS:
            shutil.rmtree(run.path, ignore_errors=True)
    return ended


def _run(
    options: Options, java: str, run: RunDir, ports: Ports, signals: StopSignals, certificate: Certificate | None
) -> Exit:
    server = TorchServe(java, run, options.log_level, os.environ)
    try:
        address = f"{options.host}:{ports.grpc}"
        doctor = Doctor(own_address(address), certificate, options.settings.auth_file)
        supervisor = Supervisor(
            server, run, doctor, ports.grpc_management, signals, _say, options.settings.hang_timeout_s
        )
        devices = supervisor.wait_until_ready(options.startup_timeout_s)
        if not signals.stop:
            models = ", ".join(f"{name} on {device}" for name, device in devices.items())
            _say(f"metrics on http://{options.metrics_host}:{ports.metrics}/metrics, logs in {run.logs}")
            sys.stdout.write(f"flashvsr-serve: ready on {address} ({models})\n")
            sys.stdout.flush()
        return supervisor.watch(options.drain_timeout_s)
    finally:
        server.kill()


def _say(line: str) -> None:
    sys.stderr.write(f"flashvsr-serve: {line}\n")

"""The command line of ``flashvsr-serve``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from flashvsr_handler.archive import default_config
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.ports import LOOPBACK, Hosts
from flashvsr_handler.settings import FORMATS, LEVELS, PREFIX, Settings, SettingsError

PATHS: Final = ("weights", "auth_file", "tls_cert", "tls_key")
"""Settings that name files."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the server runs; what the handler does is in its settings."""

    host: str
    grpc_port: int
    http_port: int
    run_dir: Path | None
    startup_timeout_s: float
    drain_timeout_s: float
    log_level: str
    metrics_host: str
    direct_port: int | None
    """Of the first model's direct plane, None for the one that follows from grpc_port."""
    direct: bool
    check: bool
    """Only ask a server with these options whether it answers."""
    settings: Settings

    @property
    def hosts(self) -> Hosts:
        """Where the listeners are; HTTP has no TLS and stays at home when gRPC has it."""
        http = LOOPBACK if self.settings.tls_cert else self.host
        return Hosts(grpc=self.host, http=http, metrics=self.metrics_host)

    def direct_ports(self, models: int) -> tuple[int, ...]:
        """Ports of the models' direct planes: the two after gRPC's, and on; 0 = any free, none without the plane."""
        if not self.direct:
            return ()
        first = self.direct_port
        if first is None:
            first = self.grpc_port and self.grpc_port + 2
        return tuple(first and first + index for index in range(models))


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Options:
    """Read the command line; it wins over FLASHVSR_* of the environment, which wins over the packaged settings.

    Raises :class:`ServeError` for a setting that is not allowed; argparse exits with code 2 for a wrong option.
    """
    given = vars(_parser().parse_args(arguments))
    names = [field.name for field in fields(Settings)]
    chosen: dict[str, Any] = {name: given[name] for name in names if given.get(name) is not None}
    rest = {name: value for name, value in environment.items() if name.removeprefix(PREFIX).lower() not in chosen}
    try:
        settings = Settings.read({**default_config()["handler"], **chosen}, rest)
    except SettingsError as error:
        raise ServeError(Exit.USAGE, str(error)) from error
    for name in PATHS:  # the worker runs in another directory
        if getattr(settings, name) not in ("", "builtin"):
            path = os.path.abspath(getattr(settings, name))  # noqa: PTH100 - links stay links
            settings = replace(settings, **{name: path})
    run = (field.name for field in fields(Options) if field.name != "settings")
    return Options(**{name: given[name] for name in run}, settings=settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flashvsr-serve",
        description="Serve FlashVSR over gRPC: TorchServe with one model per visible GPU, or one on the CPU.",
        epilog="Exit codes: " + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in Exit) + ".",
    )
    add = parser.add_argument
    add("--host", default=LOOPBACK, help="address of gRPC and HTTP (default: %(default)s); give --auth and TLS with it")
    add("--grpc-port", type=_port, default=7070, help="gRPC, and the next for its management; 0 = any free")
    add("--http-port", type=_port, default=8080, help="HTTP, and the second after it for metrics; 0 = any free")
    add("--direct-port", type=_port, help="of the workers' own gRPC, and up, one a GPU (default: --grpc-port + 2)")
    add("--direct", action=argparse.BooleanOptionalAction, default=True, help="frames past TorchServe, where faster")
    add("--metrics-host", default=LOOPBACK, help="address of /metrics (default: %(default)s)")
    add("--auth", dest="auth_file", metavar="FILE", help="tokens that may call, a line each: TOKEN or NAME TOKEN")
    add("--tls-cert", metavar="PEM", help="certificate chain of gRPC; HTTP then stays on the loopback interface")
    add("--tls-key", metavar="PEM", help="its key")
    add("--check", action="store_true", help="ask a server with these options whether it answers, and stop")
    add("--warm-up", dest="warm_up_sizes", metavar="SIZES", help="inputs to be ready for, as 480x270x4,640x360x2")
    add("--max-sessions", type=int, help="open at one time, for each model")
    add("--idle-timeout", type=float, dest="idle_timeout_s", metavar="SECONDS", help="silent sessions are closed after")
    add("--park-after", type=float, dest="park_after_s", metavar="SECONDS", help="silent sessions go to host memory")
    add("--run-dir", type=Path, help="where configuration, sockets and logs go (default: a temporary directory)")
    add("--startup-timeout", type=float, default=600, dest="startup_timeout_s", metavar="SECONDS")
    add(
        "--drain-timeout",
        type=float,
        default=30,
        dest="drain_timeout_s",
        metavar="SECONDS",
        help="for sessions, once told to stop",
    )
    add("--log-level", choices=("quiet", "warn", "info"), default="quiet", help="of TorchServe on stderr")
    add("--log-format", choices=FORMATS, help="of the workers' log")
    add("--worker-log-level", choices=LEVELS, help="of the workers' log (default: warning)")
    _add_engine(parser.add_argument_group("engine", "explained in docs/parameters.md"))
    return parser


def _add_engine(group: argparse._ArgumentGroup) -> None:
    """Those settings that are the engine's knobs."""
    add = group.add_argument
    add("--weights", "--model-dir", metavar="DIR", help="builtin, or a folder of weights")
    add("--weights-version", dest="version", help="1.0 or 1.1, for a folder whose manifest does not say it")
    add("--mode", help="tiny, tiny-long or full")
    add("--device", help="auto (every GPU, else the CPU), cpu, cuda:0, ...")
    add("--precision", help="auto, bf16, fp16 or fp32")
    add("--memory-limit", metavar="SIZE", help="of one stream with the weights: 8GiB, auto or none")
    switch = argparse.BooleanOptionalAction
    add("--tiled-dit", action=switch, help="work in tiles of the picture")
    add("--tile-size", type=int, help="32 to 1024 pixels of the input")
    add("--tile-overlap", type=int, help="8 to 512 pixels of the input")
    add("--tiled-vae", action=switch, help="decode in bands of the picture")
    add("--unload-dit", action=switch, help="keep the DiT's weights in host memory while decoding")
    add("--adaptive-batch-size", action=switch, help="as many tiles at once as fit")
    add("--color-fix", help="adain, wavelet or none")
    add("--sparse-ratio", type=float, help="1.5 (faster) to 2.0 (steadier)")
    add("--kv-ratio", type=float, help="1.0 (less memory) to 3.0")
    add("--local-range", type=int, help="9 (sharper) or 11 (steadier)")
    add("--attention-mode", help="block_sparse_attention or sparse_sage_attention")
    add("--attention-backend", help="which implementation of it")
    add("--cross-backend", help="which implementation of attention to the prompt")
    add("--seed", type=int, help="of the noise")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_533:
        raise argparse.ArgumentTypeError(f"{port} is not 0 to 65533")
    return port

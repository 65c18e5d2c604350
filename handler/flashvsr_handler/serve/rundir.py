"""The directory of one running server: configuration, models, sockets and logs, for its owner's eyes only."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, Final

from flashvsr_handler.archive import default_config, resource, write_directory
from flashvsr_handler.reports import Reports
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.options import Options
from flashvsr_handler.serve.ports import Ports
from flashvsr_handler.settings import Settings

LONGEST_PATH: Final = 80
"""A Unix socket's path takes at most 107 bytes, and TorchServe's sockets lie in here."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunDir:
    """Where things lie, and the names of the models."""

    path: Path
    models: tuple[str, ...]

    @property
    def config(self) -> Path:
        """TorchServe's configuration."""
        return self.path / "config.properties"

    @property
    def logging(self) -> Path:
        """Log4j's configuration."""
        return self.path / "log4j2.xml"

    @property
    def store(self) -> Path:
        """The model store."""
        return self.path / "models"

    @property
    def tmp(self) -> Path:
        """Sockets and temporary files."""
        return self.path / "tmp"

    @property
    def management(self) -> Path:
        """The socket of TorchServe's management, which asks for no token: the folder is the owner's alone."""
        return self.tmp / "management.sock"

    @property
    def logs(self) -> Path:
        """What Java and the workers say."""
        return self.path / "logs"

    @property
    def reports(self) -> Path:
        """What the workers report of themselves."""
        return self.path / "reports"

    def drain(self, seconds: float) -> None:
        """Tell the workers that the server stops."""
        Reports(self.reports, "").drain(seconds)

    def reports_of(self, model_name: str) -> Reports:
        """What the worker of that model reports."""
        return Reports(self.reports, model_name)


def write_run_dir(options: Options, ports: Ports, gpus: int) -> RunDir:
    """Make the directory with everything that TorchServe reads. Raises :class:`ServeError` when it cannot be used."""
    models = tuple(f"flashvsr{index}" for index in range(max(1, gpus)))
    run = RunDir(_make(options.run_dir), models)
    for folder in (run.tmp, run.logs, run.store, run.reports):
        folder.mkdir()
    Reports(run.reports, "").prepare()
    run.config.write_text(_config(options, ports, run, gpus), encoding="utf-8")
    run.logging.write_text(resource("log4j2.xml"), encoding="utf-8")
    (run.path / "metrics.yaml").write_text(resource("metrics.yaml"), encoding="utf-8")
    settings = dataclasses.replace(options.settings, models=models, report_dir=str(run.reports))
    for index, name in enumerate(models):
        direct = {"direct_port": ports.direct[index], "direct_host": options.host} if ports.direct else {}
        config: dict[str, Any] = {**default_config(), "handler": _plain(settings) | direct}
        if gpus:
            config["deviceIds"] = [index]
        write_directory(run.store / name, config)
    return run


def _make(path: Path | None) -> Path:
    try:
        if path is None:
            return Path(tempfile.mkdtemp(prefix="flashvsr-serve-")).resolve()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path.resolve()
        if any(path.iterdir()):
            raise ServeError(Exit.USAGE, f"run directory {path} is not empty: name a new one")
        path.chmod(0o700)
    except OSError as error:
        raise ServeError(Exit.USAGE, f"run directory {path} cannot be used: {error.strerror}") from error
    if len(str(path)) > LONGEST_PATH:
        message = f"run directory {path} is too long for Unix sockets: name one of at most {LONGEST_PATH} characters"
        raise ServeError(Exit.USAGE, message)
    return path


def _config(options: Options, ports: Ports, run: RunDir, gpus: int) -> str:
    """Fill the packaged config.properties in."""
    hosts, settings = options.hosts, options.settings
    tls = {"enable_grpc_ssl": "true", "certificate_file": settings.tls_cert, "private_key_file": settings.tls_key}
    values = {
        "inference_address": f"http://{hosts.http}:{ports.http}",
        "management_address": f"unix:{run.management}",
        "metrics_address": f"http://{hosts.metrics}:{ports.metrics}",
        "grpc_inference_address": hosts.grpc,
        "grpc_inference_port": str(ports.grpc),
        "grpc_management_port": str(ports.grpc_management),
        "metrics_config": str(run.path / "metrics.yaml"),
        "number_of_gpu": str(gpus),
        **(tls if settings.tls_cert else {}),
    }
    lines = []
    for line in resource("config.properties").splitlines():
        key = line.partition("=")[0]
        lines.append(f"{key}={values.pop(key)}" if key in values else line)
    return "\n".join([*lines, *(f"{key}={value}" for key, value in values.items())]) + "\n"


def _plain(settings: Settings) -> dict[str, Any]:
    """Give the settings as YAML takes them."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(settings).items()
    }

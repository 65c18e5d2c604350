"""Settings as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

from flashvsr_client.errors import UsageError

DEFAULT_SERVER: Final = "localhost:7070"
TOKEN_VARIABLE: Final = "FLASHVSR_TOKEN"
SYSTEM_CA: Final = "system"
MAX_OVERLAP: Final = 64
MAX_WARM_UP: Final = 960
HDR_TREATMENTS: Final = ("refuse", "tonemap", "keep")


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait for the server, in seconds."""

    connect: float = 5.0
    """For the first answer of all."""
    control: float = 60.0
    """For an answer to open and close."""
    message: float = 600.0
    """For each message of a chunk's answer; waiting behind other sessions counts."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached that asks who calls, or that shows a certificate."""

    token: str = field(default="", repr=False)
    """Sent with every request; never logged."""
    tls_ca: str | Path | None = None
    """PEM file of who signed the server's certificate; None: no TLS, "system": those that grpc brings."""
    direct: bool = True
    """Take the worker's own port for frames, where the server has one that can be reached."""

    @classmethod
    def read(
        cls,
        environment: Mapping[str, str],
        *,
        token_file: str | Path | None = None,
        tls_ca: str | Path | None = None,
        direct: bool = True,
    ) -> Access:
        """Take the token from a file, else from FLASHVSR_TOKEN: never from a command line, which others can see.

        Raises :class:`UsageError` for a file that cannot be read.
        """
        token = environment.get(TOKEN_VARIABLE, "")
        if token_file is not None:
            try:
                token = Path(token_file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"--token-file {token_file} cannot be read: {error}") from error
        return cls(token.strip(), tls_ca, direct)

    def root_certificates(self) -> bytes | None:
        """Bytes of ``tls_ca``; None for those that grpc brings. Raises :class:`UsageError`."""
        if self.tls_ca is None or self.tls_ca == SYSTEM_CA:
            return None
        try:
            return Path(self.tls_ca).read_bytes()
        except OSError as error:
            raise UsageError(f"--tls-ca {self.tls_ca} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how patiently, a request is sent again after a failure that may pass."""

    attempts: int = 5
    """In all, the first one included."""
    first_delay: float = 0.25
    """Seconds before the second attempt; each further delay is twice as long."""
    max_delay: float = 4.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures, 1 or more."""
        return min(self.first_delay * 2.0 ** (failures - 1), self.max_delay)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait between the stages of a job; memory is bounded by these and not by the clip."""

    chunks: int = 2
    """Decoded chunks that wait to be sent."""
    frames: int = 8
    """Upscaled frames that wait to be encoded."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a film is cut into segments; how they are laid is in segments.py."""

    frames: int | None = None
    """At most in a segment; 0: never cut; None: 960, and fewer where several endpoints share a short film."""
    overlap: int = 4
    """Frames over which one segment fades into the next; 0: none."""
    warm_up: int = 24
    """Frames, at least, that a session takes before the first one that is kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise UsageError(f"segment overlap {self.overlap}: give 0 (none) to {MAX_OVERLAP} frames; 4 is usual")
        if not 0 <= self.warm_up <= MAX_WARM_UP:
            raise UsageError(f"segment warm-up {self.warm_up}: give 0 to {MAX_WARM_UP} frames; 24 is usual")
        shortest = 2 * (self.overlap + 1)
        if self.frames is not None and self.frames != 0 and self.frames < shortest:
            raise UsageError(
                f"segments of {self.frames} frames with an overlap of {self.overlap}: give {shortest} frames or more, "
                "or 0 to never cut"
            )


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Where a job that is cut into segments keeps what is finished, and how it goes on."""

    folder: Path | None = None
    """For job folders; None: beside the output."""
    resume: bool = False
    """Go on with what an earlier run of the same job finished; begin where there is none."""
    command: tuple[str, ...] = ()
    """The words of the command that runs the job, for the journal; resuming it adds ``--resume``."""
    retry: RetryPolicy = RetryPolicy(attempts=10, first_delay=0.5, max_delay=15.0)
    """For a worker that fails, and a session that is lost: over a minute in all, as a restarting engine needs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the input is read: which part of it, and what it does not say itself."""

    fps: Fraction | None = None
    """Frames per second of a folder of pictures (25 where none is given) and of raw video."""
    size: tuple[int, int] | None = None
    """Width and height of raw video."""
    pixel_format: str | None = None
    """Of raw video, by FFmpeg's name; giving it says that the input is raw video."""
    start: Fraction = Fraction(0)
    """Seconds at which to begin: the first frame that is shown then or later."""
    duration: Fraction | None = None
    """Seconds to take; None: to the end."""
    hdr: str = "refuse"
    """What to do with PQ and HLG: "refuse", "tonemap" to SDR, or "keep" as it is."""

    def __post_init__(self) -> None:
        if self.hdr not in HDR_TREATMENTS:
            raise UsageError(f"hdr {self.hdr!r}: give {', '.join(HDR_TREATMENTS)}")
        if self.fps is not None and self.fps <= 0:
            raise UsageError(f"fps {self.fps}: give more than 0 frames per second, such as 25 or 30000/1001")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(
                f"size {self.size[0]}x{self.size[1]}: give a width and a height in pixels, such as 640x360"
            )
        if self.start < 0:
            raise UsageError(f"start {float(self.start):g} s: give 0 or more")
        if self.duration is not None and self.duration <= 0:
            raise UsageError(f"duration {float(self.duration):g} s: give more than 0")
        if (self.pixel_format is None) != (self.size is None):
            raise UsageError("raw video needs its pixel format and its size: give both or neither")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the output is written. None leaves a choice to us; docs/client.md says what we choose."""

    codec: str | None = None
    """An encoder by FFmpeg's name, or h264, hevc, av1, vp9, prores; None: libx264, in WebM libsvtav1."""
    crf: int | None = None
    """Quality on the encoder's own scale, less is better and larger; None: visually transparent."""
    preset: str | None = None
    """Of the encoder, such as ultrafast to veryslow of x264."""
    pixel_format: str | None = None
    """How pixels are stored, by FFmpeg's name; None: 4:2:0 in the depth of the source, 4:4:4 for odd sizes."""
    options: tuple[tuple[str, str], ...] = ()
    """More options of the encoder, by FFmpeg's names."""
    audio: bool = True
    """Copy the input's audio streams."""
    subtitles: bool = True
    """Copy the input's subtitle streams."""
    attachments: bool = True
    """Copy the input's attached fonts, files and cover pictures."""
    provenance: bool = True
    """Say in the output's metadata what it was made with."""
    overwrite: bool = False
    """Replace an existing output."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"crf {self.crf}: give 0 (best) to 51, of av1 and vp9 to 63; 18 is transparent in x264")


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Of the engine in this process: its knobs, each explained in docs/parameters.md.

    Values are checked by the engine, when it is loaded.
    """

    weights: str | Path = "builtin"
    """Or a folder; the community's `model_dir`."""
    version: str | None = None
    """Of the weights, "1.1" or "1.0"; None: as the folder's manifest says."""
    mode: str = "tiny"
    device: str = "auto"
    precision: str = "auto"
    memory_limit: int | str | None = "auto"
    """Bytes, "8GiB", "auto": what is free, or None: no limit."""
    tiled_dit: bool = False
    tile_size: int = 256
    """Pixels of the input."""
    tile_overlap: int = 24
    """Pixels of the input."""
    tiled_vae: bool = False
    unload_dit: bool = False
    adaptive_batch_size: bool = False
    color_fix: str | bool = "adain"
    sparse_ratio: float = 2.0
    kv_ratio: float = 3.0
    local_range: int = 11
    attention_mode: str = "block_sparse_attention"
    attention_backend: str = "auto"
    cross_backend: str = "auto"

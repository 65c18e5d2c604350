"""ComfyUI's IMAGE through a session of the client: frame by frame, so that only the result is held whole.

An IMAGE is float [T, h, w, 3], 0 to 1. It travels in 16 bits both ways: an 8-bit film arrives exactly, and what comes
back is within 1/131070 of what the engine computed.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final

import numpy as np
import torch
from flashvsr_client import Client, InputError, ServerError, StreamClosedError
from flashvsr_client.chunks import Frame
from torch import Tensor

from . import host

_WHITE: Final = 65535
_GIB: Final = 1 << 30
_log: Final = logging.getLogger(__name__)


def upscaled(client: Client, images: Tensor, scale: int, seed: int) -> Tensor:
    """IMAGE [T, h, w, 3] -> IMAGE [T, scale * h, scale * w, 3], float32 on the host; T may be 1.

    Raises :class:`InputError` for anything but RGB and for a result that memory cannot hold, any other
    :class:`ClientError`, and ComfyUI's own exception when the user cancels: the session is closed in any case.
    """
    count, height, width, _ = _checked(images).shape
    _check_room(count, height * scale, width * scale)
    watch = host.Watch(count)
    watch.check()
    with client.open_session(width, height, scale=scale, seed=seed, depth=16) as session:
        result = torch.empty(count, session.info.height, session.info.width, 3)
        try:
            with watch.closing_on_cancel(session.close):
                _fill(result, session.upscale(_pictures(images)), watch)
        except StreamClosedError:
            watch.check()  # it was the user who closed it
            raise
        for note in session.notes:
            _log.warning("FlashVSR: %s", note)
    return result


def _fill(result: Tensor, frames: Generator[Frame, None, None], watch: host.Watch) -> None:
    """Write uint16 frames as they come."""
    done = 0
    with closing(frames):
        for done, frame in enumerate(frames, 1):
            watch.check()
            result[done - 1] = torch.from_numpy(frame.astype(np.float32)).mul_(1 / _WHITE)
            watch.advance()
    if done != len(result):
        raise ServerError(f"the engine gave {done} of {len(result)} frames: see its log")


def _pictures(images: Tensor) -> Iterator[Frame]:
    """Frames as the engine takes them, converted one by one."""
    for image in images:
        levels = image.to("cpu", torch.float32).nan_to_num(0.0).clamp(0.0, 1.0).mul(_WHITE).round()
        yield levels.numpy().astype(np.uint16)


def _checked(images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[-1] != 3:
        shape = " x ".join(map(str, images.shape))
        remedy = ": take the alpha away first, as 'Split Image with Alpha' does" if images.shape[-1] == 4 else ""
        raise InputError(f"frames are {shape}; the engine takes frames x height x width x 3, RGB{remedy}")
    if len(images) == 0:
        raise InputError("there are no frames: give at least one")
    return images


def _check_room(count: int, height: int, width: int) -> None:
    needed, free = count * height * width * 3 * 4, host.free_memory()
    if needed > free:
        raise InputError(
            f"{count} frames of {width}x{height} take {needed / _GIB:.1f} GiB as IMAGE, and {free / _GIB:.1f} GiB are "
            "free: give fewer frames at a time or a smaller scale, or use FlashVSR Upscale Video"
        )

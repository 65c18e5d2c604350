"""What this package needs of ComfyUI, and the only file that knows where it is.

Imported when it is used: the nodes can be imported, and tested, before ComfyUI has chosen its device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from threading import Event
from typing import Any, Final

import torch

_LOOK_SECONDS: Final = 0.2


class Watch:
    """ComfyUI's progress bar and its button to cancel, for one run of one node."""

    def __init__(self, frames: int) -> None:
        from comfy.utils import ProgressBar

        self._bar = ProgressBar(frames)

    def check(self) -> None:
        """Raise ComfyUI's own exception if the user has cancelled."""
        from comfy.model_management import throw_exception_if_processing_interrupted

        throw_exception_if_processing_interrupted()

    def advance(self) -> None:
        """One more frame is done."""
        self._bar.update(1)

    @contextmanager
    def closing_on_cancel(self, close: Callable[[], None]) -> Iterator[None]:
        """Call ``close`` from another thread as soon as the user cancels: for what may wait long in the block."""
        from comfy.model_management import processing_interrupted

        done = Event()

        def look() -> None:
            while not done.wait(_LOOK_SECONDS):
                if processing_interrupted():
                    close()
                    return

        with ThreadPoolExecutor(1, "flashvsr-cancel") as pool:
            pool.submit(look)
            try:
                yield
            finally:
                done.set()


def models_folder() -> Path:
    """Where ComfyUI keeps its models."""
    import folder_paths

    return Path(folder_paths.models_dir)


def free_memory() -> int:
    """Bytes of host memory that a result may take."""
    from comfy.model_management import get_free_memory

    return int(get_free_memory(torch.device("cpu")))


def temporary_folder() -> Path:
    """A new folder among ComfyUI's temporary files, which it removes when it starts and ends."""
    import folder_paths

    top = Path(folder_paths.get_temp_directory())
    top.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(prefix="flashvsr-", dir=top))


def video(path: Path) -> object:
    """ComfyUI's VIDEO of a file."""
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path))


def make_room(ours: object) -> None:
    """Have ComfyUI's other models leave its device, since an engine plans with what is free there."""
    from comfy import model_management

    device = model_management.get_torch_device()
    if device.type != "cpu":
        mine = [entry for entry in model_management.current_loaded_models if entry.model is ours]
        model_management.free_memory(1e30, device, keep_loaded=mine)


def announce(ours: object) -> None:
    """Put what :func:`unloadable` gave on ComfyUI's list of loaded models."""
    from comfy import model_management

    model_management.load_models_gpu([ours])


def unloadable(unload: Callable[[], None]) -> object:
    """Give what ComfyUI takes for a model, so that it calls ``unload`` when it unloads models.

    Keep it as long as ComfyUI may: ComfyUI itself refers to it weakly.
    """
    from comfy import model_management
    from comfy.model_patcher import ModelPatcher

    class Unloadable(ModelPatcher):  # type: ignore[misc]
        """No weights of its own: the engine holds them, wherever its plan says."""

        def partially_load(self, device_to: object, extra_memory: float = 0, **options: Any) -> int:
            return 0

        def partially_unload(self, device_to: object, memory_to_free: float = 0, **options: Any) -> int:
            return 0

        def detach(self, unpatch_all: bool = True) -> torch.nn.Module:
            unload()
            model: torch.nn.Module = self.model
            return model

        def __del__(self) -> None:
            """Nothing was pinned or patched."""

    return Unloadable(FlashVSR(), model_management.get_torch_device(), torch.device("cpu"), size=1)


class FlashVSR(torch.nn.Module):
    """The name that ComfyUI's log shows."""

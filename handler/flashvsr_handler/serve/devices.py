"""Which devices get a model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from flashvsr_handler.serve.errors import Exit, ServeError

COUNT: Final = "import torch; print(torch.cuda.device_count())"


def visible_gpus(device: str, environment: Mapping[str, str]) -> int:
    """Count the GPUs that get a model each; 0 = one model, on the device that was named or the CPU.

    Raises :class:`ServeError` for a CUDA_VISIBLE_DEVICES that TorchServe cannot read.
    """
    if device != "auto":
        return 0
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    if any(part.strip() and not part.strip().lstrip("-").isdecimal() for part in visible.split(",")):
        message = f"CUDA_VISIBLE_DEVICES is {visible!r}: TorchServe reads numbers only, such as 0,1"
        raise ServeError(Exit.USAGE, message)
    # In a process of its own: this one lives as long as the server and needs neither torch nor a CUDA context.
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServeError(Exit.USAGE, f"torch cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout)

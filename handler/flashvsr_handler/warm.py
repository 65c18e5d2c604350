"""What runs before the model says that it is ready, so that no client waits for kernels to be compiled."""

from __future__ import annotations

from contextlib import closing
from typing import Final

import numpy as np

from flashvsr_handler.protocols import Engine
from flashvsr_handler.size import Size

SMALL: Final = Size(32, 32)
"""Which has most of the kernels and takes no time."""
STEADY_CHUNKS: Final = 2
"""After the first one: the second has less of a past than those that follow."""


def warm(engine: Engine, size: Size, chunks: int = STEADY_CHUNKS) -> None:
    """Run a stream of such frames for its first chunk and ``chunks`` more. Raises the engine's errors."""
    plan, noise = engine.plan(size.width, size.height, size.scale), np.random.default_rng(0)
    with closing(engine.open(size.width, size.height, size.scale)) as session:
        for count in (plan.first_chunk, *[plan.chunk] * chunks):
            session.push(noise.integers(0, 256, (count, size.height, size.width, 3), dtype=np.uint8))

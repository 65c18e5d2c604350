"""Counting the bytes of tensors that have shapes and no values.

A dispatch mode sees every tensor that comes into being on the `meta` device and when it goes.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flashvsr_engine.outlines import Outlines

META = torch.device("meta")


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, each storage once.

    outlines: what operations on meta tensors are known to make, by which they need not be run again.
    """

    def __init__(self, outlines: Outlines | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known = set[int]()
        self._outlines = outlines

    def add(self, count: int) -> None:
        """Count bytes that no tensor stands for, or, negative, no longer."""
        self.now += count
        self.peak = max(self.peak, self.now)

    def take_peak(self) -> int:
        """The most bytes that were alive at once since this was last asked."""
        peak, self.peak = self.peak, self.now
        return peak

    def know(self, tensors: Iterable[Tensor]) -> None:
        """Do not count these tensors, nor views of them, when they are met. They must outlive the counting."""
        self._known |= {tensor.untyped_storage()._cdata for tensor in tensors}

    def meet(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors whose storage was not met before."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._known:
                self._known.add(key)
                self.add(size)
                weakref.finalize(storage, self._gone, key, size)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See `TorchDispatchMode`."""
        run, kwargs = self._outlines, kwargs or {}
        made = func(*args, **kwargs) if run is None else run(func, args, kwargs)
        self.meet(leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor))
        return made

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size

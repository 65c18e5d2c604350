"""What operations make on meta tensors, remembered.

torch finds out the shape of a meta tensor in Python, in up to two milliseconds for an activation; a plan asks for the
same few shapes thousands of times. What comes out depends on the shapes, strides and types that go in, and on nothing
else: so it is found out once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_ATEN = torch.ops.aten
MAKING = frozenset(
    (
        _ATEN._addmm_activation.default,
        _ATEN.add.Tensor,
        _ATEN.cat.default,
        _ATEN.clone.default,
        _ATEN.conv2d.default,
        _ATEN.conv_transpose2d.input,
        _ATEN.linear.default,
        _ATEN.mul.Tensor,
        _ATEN.rms_norm.default,
        _ATEN.stack.default,
        _ATEN.sub.Tensor,
    )
)
"""Those of which each makes one new tensor."""
WRITING = frozenset((_ATEN.add_.Tensor, _ATEN.clamp_.default, _ATEN.leaky_relu_.default, _ATEN.mul_.Tensor))
"""Those that write over the values of their first argument and give it back: nothing, for a tensor without values."""


@dataclass(frozen=True, slots=True)
class Outline:
    """All that there is to a meta tensor."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    def tensor(self) -> Tensor:
        """A new one."""
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device="meta")


class Outlines:
    """The outlines of what was made so far."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Outline] = {}

    def __len__(self) -> int:
        return len(self._made)

    def __call__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `func` makes of the arguments; on meta tensors, where it is known, without running it."""
        if func in WRITING and args[0].is_meta:
            return args[0]
        if func not in MAKING:
            return func(*args, **kwargs)
        key = (func, _key(args), _key(tuple(kwargs.items())))
        if key in self._made:
            return self._made[key].tensor()
        made = func(*args, **kwargs)
        if made.is_meta:
            outline = Outline(tuple(made.shape), made.stride(), made.dtype)
            assert outline.tensor().untyped_storage().nbytes() == made.untyped_storage().nbytes()
            self._made[key] = outline
        return made


def _key(value: Any) -> Hashable:
    """Stands for arguments: a tensor for all that are alike."""
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype, value.device)
    if isinstance(value, list | tuple):
        return tuple(_key(one) for one in value)
    return (type(value), value)  # 1 and 1.0 and True are equal, and make different types

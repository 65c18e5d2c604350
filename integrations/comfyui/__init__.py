"""FlashVSR for ComfyUI: five nodes on the client library. ComfyUI imports this folder from `custom_nodes`."""

from __future__ import annotations

import sys

try:
    import flashvsr_client  # noqa: F401, only to say what is missing
except ImportError as error:
    raise ImportError(
        f"the FlashVSR nodes need the package flashvsr-client in ComfyUI's Python: {sys.executable} -m pip install "
        "./proto ./engine ./client in the folder of FlashVSR's repository; the README.md beside this file says more"
    ) from error

from .engines import Engines
from .node import bound
from .nodes import NODES
from .replacements import register

_ENGINES = Engines()

NODE_CLASS_MAPPINGS = {node.__name__: bound(node, _ENGINES) for node in NODES}
NODE_DISPLAY_NAME_MAPPINGS = {node.__name__: node.DISPLAY_NAME for node in NODES}

register()

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

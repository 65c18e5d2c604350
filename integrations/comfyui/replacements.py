"""The community's nodes as ours: ComfyUI puts ours in a workflow whose own nodes are not installed."""

from __future__ import annotations

from typing import Final

from .nodes import NODES

OURS: Final = {
    "FlashVSRNode": "FlashVSRUpscale",
    "FlashVSRInitPipe": "FlashVSRInit",
    "FlashVSRNodeAdv": "FlashVSRUpscaleAdvanced",
}
"""The community's node -> ours, which has all of its inputs under the same names and in the same order."""
_SOCKETS: Final = ("IMAGE", "PIPE")


def register() -> None:
    """Tell ComfyUI, where it is new enough to ask and runs as a server."""
    try:
        from comfy_api.latest import io
        from server import PromptServer
    except ImportError:
        return
    manager = getattr(getattr(PromptServer, "instance", None), "node_replace_manager", None)
    if manager is None or not hasattr(io, "NodeReplace"):
        return
    for theirs, ours in OURS.items():
        inputs = _inputs_of(ours)
        manager.register(
            io.NodeReplace(
                new_node_id=ours,
                old_node_id=theirs,
                old_widget_ids=widgets(ours),
                input_mapping=[{"new_id": name, "old_id": name} for name in inputs],
                output_mapping=[{"new_idx": 0, "old_idx": 0}],
            )
        )


def widgets(ours: str) -> list[str]:
    """Names of the values that a saved workflow holds of the community's node, in its order.

    ComfyUI's page keeps a value of its own after each seed: what to do with it after a run.
    """
    named = [name for name, (kind, _) in _inputs_of(ours).items() if kind not in _SOCKETS]
    return [part for name in named for part in ((name, "control_after_generate") if name == "seed" else (name,))]


def _inputs_of(ours: str) -> dict[str, tuple[object, object]]:
    node = next(node for node in NODES if node.__name__ == ours)
    return dict(node.INPUT_TYPES()["required"])

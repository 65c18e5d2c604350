"""Weights folders: the manifest, the files, the loading."""

from flashvsr_engine.weights.load import Network, load_network, weights_folder
from flashvsr_engine.weights.manifest import Manifest, read_manifest

__all__ = ["Manifest", "Network", "load_network", "read_manifest", "weights_folder"]

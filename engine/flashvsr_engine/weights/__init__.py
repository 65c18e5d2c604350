"""Weights folders: where their files lie, of which version they are, the loading."""

from flashvsr_engine.weights.folder import WeightsFolder, open_folder
from flashvsr_engine.weights.layout import weights_folder
from flashvsr_engine.weights.load import Network, load_network
from flashvsr_engine.weights.manifest import Manifest, read_manifest

__all__ = ["Manifest", "Network", "WeightsFolder", "load_network", "open_folder", "read_manifest", "weights_folder"]

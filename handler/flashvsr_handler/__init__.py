"""FlashVSR on TorchServe: sessions, the streaming handler and the server command."""

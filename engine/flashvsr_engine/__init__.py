"""The FlashVSR streaming engine: frames in chunk by chunk, every frame out exactly once."""

"""The wire contract of FlashVSR serving: messages and the one codec between frames and bytes."""

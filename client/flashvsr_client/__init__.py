"""The FlashVSR client: upscale files and streams over gRPC, or on an engine in the process."""

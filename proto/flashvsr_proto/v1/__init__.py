"""Version 1 of the wire contract: ``stream_pb2`` is generated from ``stream.proto``."""

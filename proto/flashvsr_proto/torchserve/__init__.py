"""TorchServe's inference API: ``inference_pb2`` is generated, ``stub`` calls it."""

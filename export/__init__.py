"""From a revision to ONNX graphs that serve it."""

"""Export of revisions to ONNX graphs for serving."""

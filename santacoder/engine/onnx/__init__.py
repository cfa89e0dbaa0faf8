"""The runner for ONNX graphs, with ONNX Runtime."""

"""Text Generation Inference: the fields of its requests, the format of its responses, its endpoints."""

"""Ollama: the fields of its requests, the format of its responses, its endpoints."""

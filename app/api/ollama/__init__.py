"""Ollama: the fields of its requests, the form of its answers, its endpoints."""

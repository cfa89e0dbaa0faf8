"""Gradio's own server: its routes, sessions and queue, kept within limits."""

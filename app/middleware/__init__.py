"""ASGI middleware: what every request passes, one file each."""

"""Checks the proxy settings of the environment before Gradio is imported, which creates a client with them."""

from __future__ import annotations

import os

import httpx

_VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def proxy_problem() -> str | None:
    """Why no client can be created in this environment; None if one can."""
    try:
        httpx.Client().close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        named = [name for name in os.environ if name.upper() in _VARIABLES]
        return (
            f"The environment names a proxy that cannot be used ({error}). Write it as http://HOST:PORT or "
            f"socks5://HOST:PORT, or unset {', '.join(sorted(named))}."
        )
    return None

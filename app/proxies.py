"""The proxies that the environment names, looked at before Gradio makes a client with them while it is imported."""

from __future__ import annotations

import os

import httpx

_VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def proxy_problem() -> str | None:
    """Why no client can be made in this environment, as a sentence; None where one can."""
    try:
        httpx.Client().close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        named = [name for name in os.environ if name.upper() in _VARIABLES]
        return (
            f"The environment names a proxy that cannot be used ({error}). Write it as http://HOST:PORT or "
            f"socks5://HOST:PORT, or unset {', '.join(sorted(named))}."
        )
    return None

"""Pages are compressed for clients that accept it, and unchanged otherwise."""

from __future__ import annotations

import gzip

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.middleware.compression import CompressedPages
from app.middleware.security_headers import SecurityHeaders
from tests.app.api.conftest import run_apart

PAGE = "<html><body>" + "<p>é</p>" * 1000 + "<script>1</script></body></html>"


def application() -> CompressedPages:
    async def page(_: object) -> Response:
        return HTMLResponse(PAGE)

    async def short(_: object) -> Response:
        return HTMLResponse("<p>short</p>")

    async def text(_: object) -> Response:
        return PlainTextResponse(PAGE)

    routes = [Route("/", page), Route("/short", short), Route("/text", text)]
    return CompressedPages(SecurityHeaders(Starlette(routes=routes)))


async def answer(path: str, accepted: str | None) -> httpx.Response:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"Accept-Encoding": ""}) as http:
        headers = {} if accepted is None else {"Accept-Encoding": accepted}
        request = http.build_request("GET", path, headers=headers)
        response = await http.send(request, stream=True)
        raw = b"".join([piece async for piece in response.aiter_raw()])
    response.extensions["raw"] = raw
    return response


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5, br", "*", "GZIP"])
def test_a_page_is_compressed_where_gzip_is_accepted(accepted: str) -> None:
    response = run_apart(answer("/", accepted))
    raw = response.extensions["raw"]
    assert response.headers["content-encoding"] == "gzip" and int(response.headers["content-length"]) == len(raw)
    assert gzip.decompress(raw).decode() == PAGE and 10 * len(raw) < len(PAGE.encode())
    assert "accept-encoding" in response.headers["vary"].lower()
    assert "sha256-" in response.headers["content-security-policy"]  # digests are those of the page's scripts


@pytest.mark.parametrize(
    "path,accepted",
    [("/", ""), ("/", "br"), ("/", "gzip;q=0"), ("/", "gzip; q=0.0, *"), ("/short", "gzip"), ("/text", "gzip")],
)
def test_everything_else_stays_as_it_is(path: str, accepted: str) -> None:
    response = run_apart(answer(path, accepted))
    raw = response.extensions["raw"]
    assert "content-encoding" not in response.headers and int(response.headers["content-length"]) == len(raw)
    assert raw.decode() in (PAGE, "<p>short</p>")
    # a cache must tell compressed pages from others
    assert ("accept-encoding" in response.headers.get("vary", "").lower()) == (path != "/text")

"""Attribution: /v1/attribution, and /overlap for llm-vscode.

https://github.com/huggingface/llm-vscode (llm.attributionEndpoint)
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter

from app.api.error_responses import route_class
from app.api.fields import Body
from app.api.openai_errors import error_body
from app.attribution_indexes import Index
from app.context import Server
from app.errors import ApiError
from santacoder.attribution import Source, Span
from santacoder.attribution.origins import link, what_it_asks


class AttributionBody(Body):
    """``model`` selects the training files to search; ``language``, if known, determines what is a comment. With
    ``original``, the response includes the original lines, if the index has them."""

    text: str
    model: str | None = None
    language: Literal["python", "java", "javascript"] | None = None
    original: bool = False


class OverlapBody(Body):
    document: str


def attribution_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["Attribution"], route_class=route_class(error_body))

    def index_of(model: str | None) -> tuple[str, Index]:
        repo_id, _ = server.chosen(model)
        index = server.indexes.of(repo_id)
        if index is None:
            raise ApiError(
                404,
                f"There is no index of the training data of {repo_id}, so the text cannot be looked up. Create one "
                "with python -m train.data index and set SANTACODER_ATTRIBUTION to its folder.",
            )
        return repo_id, index

    @router.post("/v1/attribution")
    def attribution(body: AttributionBody) -> dict[str, Any]:
        """The parts of ``text`` that occur in the training files, with their sources and licence terms.

        ``start`` and ``end`` count characters (Unicode code points) from 0; ``lines`` are counted from 1.
        """
        repo_id, index = index_of(body.model)
        spans = index.find(body.text, body.language)
        return {
            "object": "attribution",
            "model": repo_id,
            "spans": [_span(span, index if body.original else None) for span in spans],
            "searched": asdict(index.searched),
        }

    @router.post("/overlap")
    def overlap(body: OverlapBody) -> dict[str, list[list[int]]]:
        """The parts of ``document`` that occur in the training files of the server's own model, as pairs of offsets in
        UTF-16 units, as JavaScript counts them."""
        _, index = index_of(None)
        return {"spans": [_utf16(body.document, span) for span in index.find(body.document)]}

    return router


def _span(span: Span, index: Index | None) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        "tokens": span.tokens,
        "files": span.files,
        "boilerplate": span.boilerplate,
        "confirmed": span.confirmed,
        "sources": [_source(source, index) for source in span.sources],
    }


def _source(source: Source, index: Index | None) -> dict[str, Any]:
    described: dict[str, Any] = {
        "package": source.package,
        "version": source.version,
        "licence": source.licence,
        "language": source.language,
        "path": source.path,
        "lines": source.lines,
        "renamed": source.renamed,
        "asks": what_it_asks(source.licence),
        "url": link(source),
    }
    return described if index is None else {**described, "original": index.original(source)}


def _utf16(text: str, span: Span) -> list[int]:
    before = len(text[: span.start].encode("utf-16-le")) // 2
    return [before, before + len(text[span.start : span.end].encode("utf-16-le")) // 2]

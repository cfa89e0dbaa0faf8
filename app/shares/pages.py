"""HTML pages of shares outside the playground, rendered by templates with autoescaping."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from app.middleware.security_headers import content_security_policy
from app.shares.highlight import highlighted
from app.shares.models import Piece, Report, Share
from app.shares.preview import SIZE
from app.shares.text_safety import reveal

_HERE = Path(__file__).parent
CODE_STYLE = (_HERE / "code.css").read_text()
_DESCRIPTION_LENGTH = 200


def _highlighted(pieces: list[Piece], language: str) -> Markup:
    return Markup(highlighted(pieces, language))


# the script of the only template that has one, whatever a share may have brought into the page
_POLICY = content_security_policy((_HERE / "templates" / "share.html").read_bytes())
_TEMPLATES = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
_TEMPLATES.filters |= {"reveal": reveal, "highlighted": _highlighted}
# these pages follow the browser's colour scheme; the playground sets a class
_TEMPLATES.globals["code_style"] = Markup(
    re.sub(r"\.dark (\{.*?\})", r"@media (prefers-color-scheme: dark) { :root \1 }", CODE_STYLE)
)


class PageResponse(HTMLResponse):
    """A page that runs no script but that of its template."""

    def __init__(self, page: str, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(page, status_code, {"Content-Security-Policy": _POLICY, **(headers or {})})


def share_page(share: Share, url: str) -> str:
    """The page at the permalink ``url``: tags for other sites, and a redirect to the playground for readers."""
    return _render("share.html", "../", share=share, url=url, description=share_description(share), image_size=SIZE)


def deletion_page(slug: str) -> str:
    """The page that asks for confirmation, because programs open links, too."""
    return _render("delete.html", "../../../", slug=slug)


def moderation_page(reports: list[Report]) -> str:
    by_share = sorted(reports, key=lambda report: report.share.slug)
    reported = [list(group) for _, group in groupby(by_share, lambda report: report.share.slug)]
    return _render("moderation.html", "./", reported=reported)


def message_page(heading: str, sentence: str, home: str) -> str:
    return _render("message.html", home, heading=heading, sentence=sentence)


def _render(template: str, home: str, **values: object) -> str:
    """``home`` is the relative path to the playground, so that both may be served under a prefix."""
    return _TEMPLATES.get_template(template).render(home=home, **values)


def share_description(share: Share) -> str:
    """What other sites show below the title of a link: the model and what it wrote."""
    written = " ".join(reveal("".join(text for text, written in share.excerpt if written)).split())
    described = f"{share.language.capitalize()} by {reveal(share.branch)}: {written}"
    return described if len(described) <= _DESCRIPTION_LENGTH else described[: _DESCRIPTION_LENGTH - 1] + "…"

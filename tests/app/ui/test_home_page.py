"""The home page as seen by link previews, home screens and browser tabs."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from PIL import Image
from starlette.datastructures import QueryParams

from app.settings import Settings
from app.shares.database import Database
from app.shares.preview import SIZE
from app.shares.store import ShareStore
from app.ui.first_screen.markup import has_first_screen
from app.ui.home_page import NAME, TAGLINE
from tests.app.api.conftest import serve
from tests.app.shares.generations import generation


class Head(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, name: str) -> list[str | None]:
        return [tag["content"] for _, tag in self.tags if name in (tag.get("property"), tag.get("name"))]

    def links(self, kind: str) -> list[str | None]:
        return [tag["href"] for name, tag in self.tags if name == "link" and tag.get("rel") == kind]


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('shares')}/shares.db"


@pytest.fixture(scope="module")
def served(store: Path, database_url: str) -> object:
    settings = Settings(store=store, model="test/tiny", device="cpu", database_url=database_url)
    with serve(settings) as serving, httpx.Client() as http:
        yield serving.url, http


def test_links_to_the_page_are_previewed_as_this_project(served: tuple[str, httpx.Client]) -> None:
    url, http = served
    page = http.get(f"{url}/", headers={"Accept": "text/html", "Accept-Encoding": "identity"})
    head = Head()
    head.feed(page.text.partition("<script>window.gradio_config")[0])
    assert head.named("og:title") == [NAME] and head.named("og:description") == head.named("description") == [TAGLINE]
    assert head.named("og:url") == [f"{url}/"] and head.named("og:image") == [f"{url}/preview.png"]
    assert page.text.count("<title>") == page.text.count(f"<title>{NAME}</title>") == 1
    assert head.named("twitter:card") == ["summary_large_image"] and not head.named("twitter:creator")
    assert "{url}" not in page.text.partition("<script>window.gradio_config")[0]
    image = http.get(f"{url}/preview.png")
    assert Image.open(io.BytesIO(image.content)).size == SIZE
    assert int(page.headers["content-length"]) == len(page.content)


def test_the_address_of_an_opened_share_is_previewed_as_the_share(
    served: tuple[str, httpx.Client], database_url: str
) -> None:
    url, http = served
    shares = ShareStore(Database(database_url))
    slug = shares.add(generation("def one():\n    ", texts=("return 1",)), 'One "><script>alert(1)</script>').slug
    shares.close()
    head = Head()
    head.feed(http.get(f"{url}/?share={slug}&pane=complete").text.partition("<script>window.gradio_config")[0])
    assert head.named("og:title") == ['One "><script>alert(1)</script>']
    assert head.named("og:description") == ["Python by santacoder/nano@main: return 1"]
    assert head.named("og:url") == [f"{url}/s/{slug}"] and head.named("og:image") == [f"{url}/s/{slug}/preview.png"]
    image = http.get(str(head.named("og:image")[0]))
    assert Image.open(io.BytesIO(image.content)).size == SIZE
    for missing in ("none", "x" * 5_000, ""):
        head = Head()
        head.feed(http.get(f"{url}/", params={"share": missing}).text.partition("<script>window.gradio_config")[0])
        assert head.named("og:title") == [NAME] and head.named("og:image") == [f"{url}/preview.png"]


def test_icons_and_manifest_are_the_projects(served: tuple[str, httpx.Client]) -> None:
    url, http = served
    head = Head()
    head.feed(http.get(f"{url}/").text.partition("<script>window.gradio_config")[0])
    assert head.links("manifest") == ["manifest.json"] and head.links("icon") == ["icon.svg"]
    manifest = http.get(f"{url}/manifest.json")
    assert manifest.headers["content-type"].startswith("application/manifest+json") and manifest.json()["name"] == NAME
    for icon in manifest.json()["icons"]:
        answer = http.get(f"{url}/{icon['src']}")
        assert answer.headers["content-type"].startswith(icon["type"])
        if size := re.fullmatch(r"(\d+)x\d+", icon["sizes"]):
            assert Image.open(io.BytesIO(answer.content)).size == (int(size[1]),) * 2
    assert http.get(f"{url}/favicon.ico").headers["content-type"] == "image/png"


def test_the_first_screen_comes_with_the_home_page_alone(served: tuple[str, httpx.Client], store: Path) -> None:
    url, http = served
    page = http.get(f"{url}/")
    assert page.headers["content-encoding"] == "gzip" and page.text.count('<main id="first" hidden') == 1
    script = http.get(f"{url}/first-screen.js")
    assert script.headers["content-type"].startswith("text/javascript") and "gradio_api/call/complete" in script.text
    for query in ("share=abcdefgh", "pane=compare", "model=test/tiny&branch=main", "__theme=dark"):
        assert '<main id="first"' not in http.get(f"{url}/?{query}").text
    assert '<main id="first"' in http.get(f"{url}/?utm_source=friend").text
    settings = Settings(store=store, model="test/tiny")
    assert has_first_screen(settings, QueryParams(""))
    settings = Settings(store=store, model="test/tiny", logins="ada:secret")
    assert not has_first_screen(settings, QueryParams(""))  # the login comes first

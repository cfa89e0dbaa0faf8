"""The routes of shares, requested like browsers, crawlers and moderators do."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from app.limits import RateLimits
from app.middleware.security_headers import SecurityHeaders
from app.shares.database import Database
from app.shares.models import Query
from app.shares.pages import PageResponse
from app.shares.preview import SIZE
from app.shares.routes import add_share_routes
from app.shares.store import ShareStore
from tests.app.shares.generations import generation

PAGE = {"Accept": "text/html"}
HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)></pre></title>"onmouseover="alert(1)" '
    "{{7*7}} ${alert(1)} \u202e\u2066 \x1b]0;x\x07 \x00"
)


@pytest.fixture
def shares(tmp_path: Path) -> Iterator[ShareStore]:
    store = ShareStore(Database(f"sqlite:///{tmp_path}/shares.db"))
    yield store
    store.close()


@pytest.fixture
def client(shares: ShareStore) -> TestClient:
    app = FastAPI()
    app.add_middleware(SecurityHeaders)
    add_share_routes(app, shares, RateLimits(), moderator_key="the key")
    return TestClient(app)


class Elements(HTMLParser):
    """The elements and attributes that a browser would see, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def properties(page: str) -> dict[str, str]:
    found = Elements(page).found
    return {
        str(attributes.get("property") or attributes.get("name")): str(attributes.get("content"))
        for tag, attributes in found
        if tag == "meta"
    }


def test_a_permalink_has_the_tags_that_other_sites_read(client: TestClient, shares: ShareStore) -> None:
    slug = shares.add(generation("def one():\n    ", texts=("return 1",)), "One").slug
    response = client.get(f"/s/{slug}", headers=PAGE)
    found = properties(response.text)
    assert found["og:title"] == "One"
    assert found["og:description"] == "Python by santacoder/nano@main: return 1"
    assert found["og:url"] == f"http://testserver/s/{slug}"
    assert found["og:image"] == f"http://testserver/s/{slug}/preview.png"
    image = client.get(found["og:image"])
    assert image.headers["content-type"] == "image/png" and Image.open(io.BytesIO(image.content)).size == SIZE
    assert f'href="../?share={slug}"' in response.text


def test_no_text_of_a_share_becomes_an_element_or_a_hidden_character(client: TestClient, shares: ShareStore) -> None:
    harmless, hostile = (
        shares.add(generation(text, texts=(text,), revision=revision), text[:120]).slug
        for text, revision in (("x", "main"), (HOSTILE, "<b>"))
    )
    shares.report(harmless, "visitor", "x")
    shares.report(hostile, "visitor", HOSTILE)
    pages = []
    for slug in (harmless, hostile):
        response = client.get(f"/s/{slug}", headers=PAGE)
        pages.append(Elements(response.text))
        assert not set("\u202e\u2066\x1b\x07\x00") & set(response.text)
    # spans of colours and the marks around what was written differ, nothing else
    names = [[tag for tag, _ in page.found if tag not in ("span", "mark")] for page in pages]
    assert names[0] == names[1]
    assert not any(name.startswith("on") for page in pages for _, attributes in page.found for name in attributes)
    assert "‹U+202E›" in pages[1].text and "‹U+001B›" in pages[1].text and "{{7*7}}" in pages[1].text
    moderated = Elements(client.get("/moderation", auth=("any", "the key")).text)
    assert {"script", "img", "svg"}.isdisjoint(tag for tag, _ in moderated.found)
    assert client.get(f"/s/{hostile}/preview.png").status_code == 200


def test_a_visitor_likes_once_and_can_take_it_back(client: TestClient, shares: ShareStore) -> None:
    slug = shares.add(generation("x"), "").slug
    assert client.put(f"/s/{slug}/like").json() == {"likes": 1, "liked": True}
    assert client.put(f"/s/{slug}/like").json() == {"likes": 1, "liked": True}
    client.cookies.clear()
    assert client.put(f"/s/{slug}/like").json() == {"likes": 2, "liked": True}
    assert client.delete(f"/s/{slug}/like").json() == {"likes": 1, "liked": False}


def test_the_deletion_link_asks_before_it_deletes(client: TestClient, shares: ShareStore) -> None:
    receipt = shares.add(generation("x"), "")
    address = f"/s/{receipt.slug}/delete/{receipt.deletion_token}"
    asked = client.get(address, headers=PAGE)
    assert "Delete this share?" in asked.text and asked.headers["referrer-policy"] == "same-origin"
    wrong = client.post(f"/s/{receipt.slug}/delete/guess", headers=PAGE)
    assert wrong.status_code == 403 and "nothing was deleted" in wrong.text
    assert client.get(f"/s/{receipt.slug}").status_code == 200
    assert client.get(f"/s/{receipt.slug}/preview.png").status_code == 200
    assert "Deleted" in client.post(address).text
    for path in (f"/s/{receipt.slug}", f"/s/{receipt.slug}/preview.png"):
        assert client.get(path).status_code == 404
    gone = client.get(f"/s/{receipt.slug}", headers=PAGE)
    assert "its author may have deleted it" in gone.text and 'href="../"' in gone.text


def test_a_moderator_hides_what_was_reported(client: TestClient, shares: ShareStore) -> None:
    slug = shares.add(generation("x"), "Bad thing").slug
    answer = client.post(f"/s/{slug}/report", json={"reason": "rude"})
    assert answer.json() == {"message": "Thank you. A moderator will look at it."}
    assert client.get("/moderation").status_code == 401
    assert client.get("/moderation", auth=("moderator", "guess")).status_code == 401
    client.auth = ("moderator", "the key")
    page = client.get("/moderation").text
    assert "Bad thing" in page and "rude" in page
    foreign = client.post(f"/moderation/{slug}/hide", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403 and client.get(f"/s/{slug}").status_code == 200
    action = re.search(r'action="(moderation/\w+/hide)"', page)
    assert action and "hidden" in client.post(f"/{action[1]}").text
    hidden = client.get(f"/s/{slug}", headers=PAGE)
    assert hidden.status_code == 404 and "hidden by a moderator" in hidden.text
    assert client.get(f"/s/{slug}/preview.png").status_code == 404
    assert "Nothing has been reported" in client.post(f"/moderation/{slug}/show").text
    assert [share.slug for share in shares.find(Query()).shares] == [slug]


def test_without_a_key_there_is_no_moderation(shares: ShareStore) -> None:
    app = FastAPI()
    add_share_routes(app, shares, RateLimits(), moderator_key="")
    response = TestClient(app).get("/moderation", auth=("any", ""))
    assert response.status_code == 404 and "SANTACODER_MODERATOR_KEY" in response.json()["error"]


def test_too_often_is_a_sentence(client: TestClient, shares: ShareStore) -> None:
    slug = shares.add(generation("x"), "").slug
    answers = [client.post(f"/s/{slug}/report", json={"reason": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json()["error"].startswith("You have sent too many requests: 5 per 1 minute")


@pytest.mark.parametrize(
    "body", [b'{"reason": NaN}', b'{"reason": 1e999}', b'{"why": "\\ud800"}', b'"\\ud800"', b"{}", b"[1e999]"]
)
def test_a_report_without_a_reason_is_a_sentence_and_counts(client: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answers = [client.post("/s/any/report", content=body, headers=headers) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert answers[0].json()["error"].startswith(("reason: ", "The request: "))


@pytest.mark.parametrize("path", ["/s/absent", "/s/" + "x" * 3000, "/s/%00", "/s/..%2f", "/s/'--"])
def test_what_is_no_share_is_a_sentence(client: TestClient, path: str) -> None:
    response = client.get(path, headers=PAGE)
    assert response.status_code == 404 and ("There is no share" in response.text or "Not Found" in response.text)


def test_a_report_that_no_database_could_store_is_refused(client: TestClient, shares: ShareStore) -> None:
    slug = shares.add(generation("x"), "").slug
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"/s/{slug}/report", content=b'{"reason": "\\ud800"}', headers=headers)
    assert answer.status_code == 403 and "lone surrogates" in answer.json()["error"]
    assert not shares.reports()


def test_a_script_that_got_into_a_page_is_not_allowed(client: TestClient) -> None:
    @client.app.get("/hostile")  # type: ignore[attr-defined]
    def hostile() -> PageResponse:
        return PageResponse("<script>alert(1)</script>")

    digest = base64.b64encode(hashlib.sha256(b"alert(1)").digest()).decode()
    assert digest not in client.get("/hostile").headers["content-security-policy"]


def test_every_answer_has_the_headers(client: TestClient, shares: ShareStore) -> None:
    slug = shares.add(generation("x"), "").slug
    for path in (f"/s/{slug}", f"/s/{slug}/preview.png", "/s/absent", "/nowhere", "/moderation"):
        headers = client.get(path, headers=PAGE).headers
        assert headers["x-content-type-options"] == "nosniff" and "permissions-policy" in headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'" and policy["object-src"] == "'none'"
        assert "unsafe-inline" not in policy["script-src"]
        assert policy["script-src"].count("sha256-") == (path in (f"/s/{slug}", "/s/absent"))


def test_a_share_of_white_space_has_a_preview(client: TestClient, shares: ShareStore) -> None:
    for code, written in (("\n \t\n", " "), ("\n", "\n"), (" ", ""), ("\u3000\r\n", "\t")):
        slug = shares.add(generation(code, texts=(written,)), "").slug
        assert client.get(f"/s/{slug}", headers=PAGE).status_code == 200
        image = client.get(f"/s/{slug}/preview.png")
        assert image.status_code == 200 and Image.open(io.BytesIO(image.content)).size == SIZE

"""Attribution as clients request it: /v1/attribution, and /overlap as in llm-vscode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.app.api.conftest import serve
from tests.santacoder.attribution.conftest import File, write_index

QUAYS = "".join(f"quay_{number} = berth({number}, tide)\n" for number in range(40))
FILES = [File("harbour/quays.py", QUAYS, registry="pypi")]


@pytest.fixture(scope="module")
def asked(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with an index of ``QUAYS``."""
    folder = tmp_path_factory.mktemp("attribution")
    write_index(folder, [FILES])
    settings = Settings(store=store, model="test/tiny", device="cpu", attribution=folder)
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=60) as client:
        yield client


def ask(client: httpx.Client, text: str, **fields: object) -> dict:
    response = client.post("/v1/attribution", json={"text": text, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def test_where_a_text_came_from(asked: httpx.Client) -> None:
    text = f"# schön 🚢\n{QUAYS[:400]}\nprint(quay_1)\n"
    answer = ask(asked, text, original=True)
    assert (answer["object"], answer["model"]) == ("attribution", "test/tiny")
    (span,) = answer["spans"]
    assert text[span["start"] : span["end"]].strip() in QUAYS and span["confirmed"] and span["files"] == 1
    (source,) = span["sources"]
    assert (source["package"], source["version"], source["path"]) == ("harbour", "1.0", "harbour/quays.py")
    assert source["lines"][0] == 1 and source["licence"] == "MIT" and "copyright notice" in source["asks"]
    assert source["url"] == "https://pypi.org/project/harbour/1.0/"
    assert source["original"] == "\n".join(QUAYS.split("\n")[: source["lines"][1]])
    assert answer["searched"]["files"] == 1 and answer["searched"]["guaranteed_tokens"] == 50


def test_nothing_found_tells_what_was_searched(asked: httpx.Client) -> None:
    answer = ask(asked, "print('hello')\n", language="python")
    assert answer["spans"] == [] and answer["searched"]["bytes"] == len(QUAYS)


def test_as_llm_vscode_asks(asked: httpx.Client) -> None:
    """The extension sends 250 characters on either side of the cursor, cut anywhere, and adds the results to JavaScript
    offsets.
    """
    document = "🚢 = 1\n" + QUAYS
    (span,) = asked.post("/overlap", json={"document": document}).json()["spans"]
    units = document.encode("utf-16-le")
    assert units[2 * span[0] : 2 * span[1]].decode("utf-16-le") == QUAYS.strip()
    cut = QUAYS[7:507]
    assert asked.post("/overlap", json={"document": cut}).json()["spans"]
    assert asked.post("/overlap", json={"document": "x"}).json() == {"spans": []}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"text": "x" * 1_000_000}, 400, "1,000,000 characters; at most 200,000 can be looked up"),
        (
            {"text": "a\\ud800"},
            400,
            "(U+D800) at character 2, which is not a valid character; remove it and try again.",
        ),
        ({"text": "x", "language": "cobol"}, 400, "language: Input should be 'python', 'java' or 'javascript'"),
        ({"text": "x", "model": "nobody/nothing"}, 404, "no model 'nobody/nothing' here"),
        ({}, 400, "text: Field required"),
    ],
)
def test_what_cannot_be_asked(asked: httpx.Client, body: dict, status: int, sentence: str) -> None:
    content = httpx.Request("POST", "http://x", json=body).content.replace(b"\\\\ud800", b"\\ud800")
    response = asked.post("/v1/attribution", content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert sentence in response.json()["error"]["message"]


def test_a_model_without_an_index(http: httpx.Client) -> None:
    for path, body in (("/v1/attribution", {"text": "x"}), ("/overlap", {"document": "x"})):
        response = http.post(path, json=body)
        assert response.status_code == 404
        assert "no index of the training data of test/tiny" in response.json()["error"]["message"]


def test_a_corpus_that_changed(store: Path, tmp_path: Path) -> None:
    write_index(tmp_path, [FILES])
    text = (tmp_path / "text.bin").read_bytes()
    (tmp_path / "text.bin").write_bytes(text.replace(b"berth(7,", b"berth(8,"))
    with serve(Settings(store=store, model="test/tiny", device="cpu", attribution=tmp_path)) as serving:
        response = httpx.post(f"{serving.url}/v1/attribution", json={"text": QUAYS}, timeout=60)
    assert response.status_code == 500
    assert "was changed since it was indexed" in response.json()["error"]["message"]

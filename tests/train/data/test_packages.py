"""The manifest, and downloads from a local server: parallel, resumed, verified, and continuing without missing
packages.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from train.data import packages
from train.data.licences import is_permissive
from train.data.packages import DEFAULT_MANIFEST, Package, download, read_manifest

CONTENT = bytes(range(256)) * 1000


class Archive(BaseHTTPRequestHandler):
    """A server of one file with range requests, and 404 otherwise; it disconnects after ``patience`` bytes, and of
    another file in the middle of its first chunk.
    """

    ranges: ClassVar[list[str | None]] = []
    patience: ClassVar[int | None] = None

    def do_GET(self) -> None:
        if self.path == "/pool/chunked.tar":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1000\r\n" + CONTENT[:100])
            return
        if self.path != "/pool/good.tar":
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        Archive.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.patience])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Archive.ranges.clear()
    monkeypatch.setattr(packages, "_debian_archives", lambda: [f"http://127.0.0.1:{server.server_port}/"])
    yield
    server.shutdown()
    server.server_close()


def package(name: str, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Package:
    return Package("debian", name, "1", "MIT", 0, f"pool/{name}.tar", sha256)


@pytest.mark.usefixtures("archive")
def test_what_is_missing_or_differs_is_said_and_the_rest_comes(tmp_path: Path) -> None:
    wrong = package("good", "0" * 64)
    present, missing = download([package("absent"), package("good")], tmp_path)
    assert [found.name for found in present] == ["good"] and (tmp_path / "good.tar").read_bytes() == CONTENT
    assert [(item.package, "404" in item.reason) for item in missing] == [("absent", True)]
    present, missing = download([wrong], tmp_path / "other")
    assert not present and "SHA-256" in missing[0].reason and not list((tmp_path / "other").iterdir())


@pytest.mark.usefixtures("archive")
def test_a_transfer_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    (tmp_path / "good.tar.partial").write_bytes(CONTENT[:1000])
    assert download([package("good")], tmp_path)[0]
    assert Archive.ranges == ["bytes=1000-"] and (tmp_path / "good.tar").read_bytes() == CONTENT
    assert download([package("good")], tmp_path)[0] and len(Archive.ranges) == 1


@pytest.mark.usefixtures("archive")
def test_a_connection_that_breaks_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Archive, "patience", 5000)
    present, missing = download([package("good")], tmp_path)
    assert not present and "the connection broke with 251,000 bytes left" in missing[0].reason
    monkeypatch.setattr(Archive, "patience", None)
    assert download([package("good")], tmp_path)[0] and Archive.ranges == [None, "bytes=5000-"]


@pytest.mark.usefixtures("archive")
def test_an_answer_that_ends_in_a_chunk_is_a_missing_package(tmp_path: Path) -> None:
    present, missing = download([package("chunked"), package("good")], tmp_path)
    assert [found.name for found in present] == ["good"]
    assert [item.package for item in missing] == ["chunked"] and "IncompleteRead" in missing[0].reason


@pytest.mark.usefixtures("archive")
def test_a_download_that_was_killed_at_its_very_end_is_whole(tmp_path: Path) -> None:
    (tmp_path / "good.tar.partial").write_bytes(CONTENT)
    assert download([package("good")], tmp_path)[0] and not Archive.ranges
    assert (tmp_path / "good.tar").read_bytes() == CONTENT


def test_the_manifest_is_pinned_and_permissive() -> None:
    found = read_manifest(DEFAULT_MANIFEST)
    assert {entry.registry for entry in found} == {"pypi", "npm", "debian"}
    assert len({entry.name for entry in found}) == len({Path(entry.file).name for entry in found}) == len(found)
    assert all(is_permissive(entry.licence) and re.fullmatch("[0-9a-f]{64}", entry.sha256) for entry in found)


@pytest.mark.parametrize(
    "text,sentence",
    [
        ("a: [", "not a readable manifest"),
        ("a: 1", "it must be a list"),
        ("- {registry: pypi}", "Entry 1 of .* must have exactly the fields file, licence"),
        (
            "- {registry: cran, name: a, version: '1', licence: MIT, stars: 0, file: a, sha256: b}",
            "names the registry cran; it must be pypi, npm or debian",
        ),
    ],
)
def test_a_bad_manifest_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_manifest(tmp_path / "m.yaml")

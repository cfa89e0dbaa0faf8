"""A small Hub on loopback: repositories with branches and commits, as far as ``huggingface_hub`` needs them."""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.conftest import REPOSITORY

DATE = "2023-01-01T00:00:00.000Z"
Files = dict[str, bytes | mmap.mmap]


@dataclass
class HubCommit:
    """A commit: ``blobs`` are git's hashes of its files."""

    sha: str
    parent: HubCommit | None
    title: str
    files: Files
    blobs: dict[str, str]

    @property
    def history(self) -> list[HubCommit]:
        return [self, *(self.parent.history if self.parent else [])]


@dataclass
class HubRepository:
    """A repository. ``branches`` are by name; a new one has the commit that the Hub creates."""

    branches: dict[str, HubCommit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit("main", "initial commit", {".gitattributes": b"*.safetensors filter=lfs\n"})

    def commit(self, branch: str, title: str, files: Files) -> HubCommit:
        parent = self.branches.get(branch)
        blobs = {name: _blob(content) for name, content in files.items()}
        digest = hashlib.sha1(repr((branch, title, parent and parent.sha, sorted(blobs.items()))).encode())
        self.branches[branch] = HubCommit(digest.hexdigest(), parent, title, files, blobs)
        return self.branches[branch]

    def find(self, revision: str) -> HubCommit | None:
        everything = [commit for head in self.branches.values() for commit in head.history]
        return self.branches.get(revision) or next((c for c in everything if c.sha == revision), None)


class LocalHub(ThreadingHTTPServer):
    """Repositories by name, and the received requests as ``METHOD path``. While ``down``, no request is answered.

    ``gated`` are repositories whose files only the owner gets. ``ranges`` are the ranges that were asked for, by file,
    and ``cut_after`` is the number of bytes after which the next transfer of a longer file breaks off. With
    ``redirects``, weights are elsewhere, under their SHA-256, as large files are on the real Hub.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, HubRepository] = {}
        self.large_files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.down = False
        self.gated: set[str] = set()
        self.ranges: list[tuple[str, str]] = []
        self.cut_after: int | None = None
        self.redirects = False
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Client:
    """A process that calls ``santacoder.checkpoints`` with this Hub.

    The client library reads the Hub's address only once, so a separate process is needed; only one, because importing
    PyTorch is slow. The test chooses the folder of its cache.
    """

    def __init__(self, hub: LocalHub) -> None:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CLIENT],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, home: Path, expression: str, *, offline: bool, token: str = "hf_owner") -> Any:
        """Evaluate an expression and return its value, by way of JSON; ``store`` is an empty store and ``cache`` is
        under ``home``.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(home), expression, offline, token]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


_CLIENT = """
import contextlib, io, json, os, sys, unittest.mock
from pathlib import Path
import huggingface_hub
from santacoder import checkpoints
from santacoder.checkpoints.push import push

for line in sys.stdin:
    home, expression, huggingface_hub.constants.HF_HUB_OFFLINE, os.environ["HF_TOKEN"] = json.loads(line)
    huggingface_hub.constants.HF_HUB_CACHE = home + "/cache"
    store, reports = Path(home, "empty"), []
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value = eval(expression)
    except checkpoints.CheckpointError as error:
        value = {"sentence": str(error)}
    except Exception as error:
        value = {"bug": repr(error)}
    print(json.dumps(value, default=lambda value: getattr(value, "__dict__", None) or str(value)), flush=True)
"""


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    hub = LocalHub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({"refs": self._refs, "commits": self._commits, "revision": self._info, "tree": self._tree})

    def do_HEAD(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self.server.large_files[self.path.rpartition("/")[2]] = self._body()
        self._send(200, {})

    def do_POST(self) -> None:
        self.body = self._body()
        if self.headers["Authorization"] != "Bearer hf_owner":
            return self._send(401, {"error": "Invalid username or password."})
        if self.path == "/api/repos/create":
            return self._create(json.loads(self.body))
        if self.path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if self.path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(self.body))
        return self._answer({"preupload": self._preupload, "branch": self._branch, "commit": self._commit})

    def _answer(self, calls: dict) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        if self.server.down:
            self.close_connection = True
            return None
        if large := re.fullmatch(r"/large/(\w+)", path):
            return self._send_part("model.safetensors", self.server.large_files[large[1]], {})
        if download := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._download(*download.groups())
        asked = re.fullmatch(r"/api/models/([^/]+/[^/]+)/?(\w*)/?([^/]*)", path)
        if asked is None:
            return self._send(404, {"error": "Not found"})
        name, call, revision = asked.groups()
        repository = self.server.repositories.get(name)
        if repository is None:
            return self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        return calls[call](repository, revision)

    def _refs(self, repository: HubRepository, _: str) -> None:
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit.sha}
            for name, commit in repository.branches.items()
        ]
        self._send(200, {"branches": branches, "converts": [], "tags": []})

    def _commits(self, repository: HubRepository, revision: str) -> None:
        if commit := self._found(repository, revision):
            self._send(
                200,
                [
                    {"id": entry.sha, "title": entry.title, "message": "", "date": DATE, "authors": []}
                    for entry in commit.history
                ],
            )

    def _info(self, repository: HubRepository, revision: str) -> None:
        if commit := self._found(repository, revision):
            siblings = [{"rfilename": name} for name in commit.files]
            self._send(200, {"id": "x/y", "sha": commit.sha, "siblings": siblings, "private": False, "tags": []})

    def _tree(self, repository: HubRepository, revision: str) -> None:
        if commit := self._found(repository, revision):
            self._send(
                200,
                [
                    {"type": "file", "path": name, "size": len(content), "oid": commit.blobs[name]}
                    for name, content in commit.files.items()
                ],
            )

    def _download(self, name: str, revision: str, path: str) -> None:
        repository = self.server.repositories[name]
        if name in self.server.gated and self.headers["Authorization"] != "Bearer hf_owner":
            return self._send(403, {"error": "Restricted"}, {"X-Error-Code": "GatedRepo"})
        if commit := self._found(repository, revision):
            content = commit.files.get(path)
            if content is None:
                return self._send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            headers = {"ETag": f'"{commit.blobs[path]}"', "X-Repo-Commit": commit.sha}
            if self.server.redirects and path.endswith(".safetensors"):
                digest = hashlib.sha256(content).hexdigest()
                self.server.large_files[digest] = content
                # another host: the client follows redirects within the Hub when it asks for the hash
                headers |= {"Location": f"http://localhost:{self.server.server_address[1]}/large/{digest}"}
                headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
                return self._send(302, b"", headers)
            return self._send_part(path, content, headers)
        return None

    def _send_part(self, name: str, content: bytes | mmap.mmap, headers: dict[str, str]) -> None:
        asked = self.headers["Range"]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked:
            self.server.ranges.append((name, asked))
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._send(206 if asked else 200, memoryview(content)[start:], headers)

    def _create(self, document: dict) -> None:
        name = f"{document['organization']}/{document['name']}"
        if name in self.server.repositories:
            url = f"{self.server.url}/{name}"
            return self._send(409, {"error": "You already created this model repo", "url": url})
        self.server.repositories[name] = HubRepository()
        return self._send(200, {"url": f"{self.server.url}/{name}", "name": name, "id": name})

    def _branch(self, repository: HubRepository, name: str) -> None:
        start = json.loads(self.body).get("startingPoint", "main")
        if name in repository.branches:
            return self._send(409, {"error": "Reference already exists"})
        found = repository.find(start)
        assert found is not None
        repository.branches[name] = found
        return self._send(200, {})

    def _preupload(self, repository: HubRepository, revision: str) -> None:
        head = repository.branches[revision]
        answers = []
        for file in json.loads(self.body)["files"]:
            name, known = file["path"], head.files.get(file["path"])
            mode = "lfs" if name.endswith(".safetensors") else "regular"
            answers.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": known and head.blobs[name]})
        self._send(200, {"files": answers})

    def _batch(self, document: dict) -> None:
        objects = [
            {**entry, "actions": {"upload": {"href": f"{self.server.url}/large/{entry['oid']}"}}}
            for entry in document["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repository: HubRepository, branch: str) -> None:
        files, title = dict(repository.branches[branch].files), ""
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                title = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.server.large_files[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        commit = repository.commit(branch, title, files)
        self._send(200, {"commitUrl": f"{self.server.url}/x/y/commit/{commit.sha}", "commitOid": commit.sha})

    def _found(self, repository: HubRepository, revision: str) -> HubCommit | None:
        commit = repository.find(revision)
        if commit is None:
            self._send(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        return commit

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes | memoryview) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.server.cut_after
        if cut is not None and len(data) > cut:
            self.server.cut_after, data, self.close_connection = None, data[:cut], True
        self.wfile.write(data)


def _blob(content: bytes | mmap.mmap) -> str:
    """git's hash of a file."""
    digest = hashlib.sha1(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()

"""Hostile requests, each as large as the server allows."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MOST = 4 * 1024 * 1024
_ROOM = 200_000  # bytes for the JSON around a text


@dataclass
class Client:
    """Sends requests to a server, each on a new connection."""

    url: str
    config: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, body: Any, *, timeout: float = 120) -> int:
        """The status code, or 0 if the server closed the connection."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, content, timeout=timeout)[0]

    def send(self, method: str, path: str, content: Any = None, *, timeout: float = 120) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
        try:
            accepted = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
            connection.request(method, path, content, accepted)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def event(self, output: str, code: str, session: str = "hostile") -> int:
        """Trigger the page event that computes ``output`` from the editor's ``code``, and wait until it ends."""
        self.config = self.config or json.loads(self.send("GET", "/config")[1])
        components = {each["id"]: each["props"] for each in self.config["components"]}
        (shown,) = [number for number, props in components.items() if props.get("elem_id") == output]
        (editor,) = [number for number, props in components.items() if props.get("elem_id") == "complete-editor"]
        event = next(
            each
            for each in self.config["dependencies"]
            if each["backend_fn"] and shown in each["outputs"] and editor in each["inputs"]
        )
        data = [code if number == editor else components[number].get("value") for number in event["inputs"]]
        body = {"data": data, "fn_index": event["id"], "session_hash": session, "trigger_id": None}
        status = self.post("/gradio_api/queue/join", body)
        if status == 200:
            self.send("GET", f"/gradio_api/queue/data?session_hash={session}")
        return status


def text(piece: str) -> str:
    return piece * ((MOST - _ROOM) // len(json.dumps(piece).encode()))


def cases(client: Client) -> dict[str, Callable[[], object]]:
    """The requests by name; each returns the status code, or all status codes."""
    return {**prompts(client), **other_endpoints(client), **the_page(client), **crowds(client)}


def prompts(client: Client) -> dict[str, Callable[[], object]]:
    def complete(prompt: Any, **body: Any) -> Callable[[], object]:
        return lambda: client.post("/v1/completions", {"prompt": prompt, "max_tokens": 1, **body})

    long = text("x = 1\n")
    return {
        "fill-in-the-middle sentinels": complete("<fim-prefix>" + text("<fim-suffix>")),
        "a long prompt": complete(long),
        "a long prompt, 32 texts": complete(long, n=32),
        "a long word": complete(text("é")),
        "echo of a long prompt": complete(long, echo=True, logprobs=5),
        "10,000 prompts": complete(["a"] * 10_000, n=16),
        "800,000 prompts": complete(["a"] * 800_000),
        "a prompt of 1,300,000 tokens": complete([5] * 1_300_000),
        "a prompt of 90,000 tokens": complete([5] * 90_000),
        "90,000 prompts of mixed types": complete(["a", 1] * 45_000),
        "20,000 stop sequences": complete("x", stop=[f"never{i}" for i in range(20_000)]),
        "90,000 stops that are numbers": complete("x", stop=[1] * 90_000),
        "long stop sequences": complete("x = ", max_tokens=200, stop=["\n" * 200 + str(i) for i in range(64)]),
        "90,000 biases": complete("x", logit_bias={str(i): 1 for i in range(90_000)}),
        "deep JSON": lambda: client.post("/v1/completions", b'{"prompt": ' + b"[" * (MOST - 1_000)),
        "no JSON": lambda: client.post("/v1/completions", b"x" * (MOST - 1_000)),
        "90,000 unknown fields": complete("x", **{f"field{i}": i for i in range(90_000)}),
    }


def other_endpoints(client: Client) -> dict[str, Callable[[], object]]:
    def post(path: str, **body: Any) -> Callable[[], object]:
        return lambda: client.post(path, body)

    long, few = text("x = 1\n"), {"num_predict": 1}
    half, third = long[: MOST // 2], text("y = 2\n")[: MOST // 3]
    tool = {"name": "complete_code", "arguments": {"code": long, "max_new_tokens": 1}}
    return {
        "tokenize": post("/tokenize", content=long),
        "tokenize, no space": post("/tokenize", content=text("x")),
        "tokenize with pieces": post("/tokenize", content=long, with_pieces=True),
        "detokenize": post("/detokenize", tokens=[5] * 90_000),
        "infill": post("/infill", input_prefix=half, input_suffix=third, n_predict=1),
        "infill with 30,000 other files": post("/infill", input_prefix="x", input_extra=[{"text": "a"}] * 30_000),
        "Ollama": post("/api/generate", prompt=long, stream=False, options=few),
        "TGI": post("/generate", inputs=long, parameters={"max_new_tokens": 1}),
        "attribution": post("/v1/attribution", text=text("def add(a, b): return a + b\n"), language="python"),
        "attribution of white space": post("/v1/attribution", text=text(" "), language="python"),
        "overlap": post("/overlap", document=text("x1 ")),
        "MCP": post("/mcp", jsonrpc="2.0", id=1, method="tools/call", params=tool),
        "MCP of deep JSON": lambda: client.post("/mcp", b"[" * 100_000),
        "MCP of a million values": post("/mcp", params=[{}] * 1_000_000),
        "a report of a million values": post("/s/abcdefgh/report", reason=[{}] * 1_000_000),
        "a report of 150 MB": lambda: client.post("/s/abcdefgh/report", bytes(150_000_000)),
    }


def the_page(client: Client) -> dict[str, Callable[[], object]]:
    long = text("x = 1\n")
    few_values = {"data": [[]] * 1_000_000, "fn_index": 1, "session_hash": "x"}
    return {
        "context bar": lambda: client.event("complete-context", long),
        "surprise": lambda: client.event("complete-surprise-tokens", long),
        "where code is from": lambda: client.event("complete-origins", text("def f(x):\n")),
        "a function": lambda: client.post("/gradio_api/call/complete_code", {"data": [long, "", 1, 0]}),
        "a million values": lambda: client.post("/gradio_api/queue/join", few_values),
        "values of other types": lambda: many(130, lambda i: other_types(client, i)),
        "an upload of 1,000 files": lambda: upload(client, 1_000),
        "an interrupted upload": lambda: broken_upload(client, 50_000_000),
    }


def crowds(client: Client) -> dict[str, Callable[[], object]]:
    event = {"data": ["def f(", "", 16, 0]}
    long = {"prompt": "x", "max_tokens": 200, "n": 8, "logit_bias": {"0": -100}}
    many_words = "x = 1\n" * 20_000
    alike = {"prompt": "x = 1\n" * 300, "max_tokens": 1, "n": 4}
    return {
        "40 tokenizations at once": lambda: many(40, lambda _: client.post("/tokenize", {"content": many_words})),
        "40 attributions at once": lambda: many(
            40, lambda _: client.post("/v1/attribution", {"text": many_words, "language": "python"})
        ),
        "280 events": lambda: many(280, lambda _: client.post("/gradio_api/call/complete_code", event)),
        "200 pages": lambda: many(200, lambda i: client.event("complete-context", "x", f"page{i}")),
        "128 long texts": lambda: many(16, lambda _: client.post("/v1/completions", long)),
        "252 texts that wait alike": lambda: many(63, lambda _: client.post("/v1/completions", alike)),
        "requests sent ahead": lambda: sent_ahead(client, "/health"),
        "unknown paths sent ahead": lambda: sent_ahead(client, "/x"),
        "1,000 broken requests": lambda: many(1_000, lambda _: broken_request(client)),
    }


def many(count: int, work: Callable[[int], object]) -> list[object]:
    with ThreadPoolExecutor(64) as pool:
        return sorted(set(pool.map(work, range(count))), key=str)


def other_types(client: Client, event: int) -> int:
    body = {"data": [{"a": [1]}] * 40, "fn_index": event, "session_hash": f"types{event}"}
    return client.post("/gradio_api/queue/join", body)


def upload(client: Client, n_files: int) -> int:
    part = '--b\r\nContent-Disposition: form-data; name="files"; filename="{}"\r\n\r\nx\r\n'
    content = "".join(part.format(number) for number in range(n_files)) + "--b--\r\n"
    connection = http.client.HTTPConnection(urlsplit(client.url).netloc, timeout=120)
    try:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/gradio_api/upload", content.encode(), kind)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def broken_upload(client: Client, n_bytes: int) -> str:
    address = urlsplit(client.url)
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {2 * n_bytes}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    head += '--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    with socket.create_connection((address.hostname, address.port)) as connection, suppress(OSError):
        connection.sendall(head.encode() + bytes(n_bytes))
    return "broken"


def sent_ahead(client: Client, path: str, seconds: float = 3) -> str:
    """Requests on one connection for which the client does not wait, while it reads the responses."""
    address = urlsplit(client.url)
    requests = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode() * 1_000
    ends = time.monotonic() + seconds
    with socket.create_connection((address.hostname, address.port), timeout=0.05) as connection:
        unsent = b""
        while time.monotonic() < ends:
            unsent = unsent or requests
            with suppress(TimeoutError):
                unsent = unsent[connection.send(unsent) :]
            with suppress(TimeoutError):
                connection.recv(1 << 20)
    return "read"


def broken_request(client: Client) -> str:
    address = urlsplit(client.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100\r\n\r\nx"
        connection.sendall(head.encode())
    return "broken"

"""The effect of hostile requests on other clients: the slowest /health response and the longest pause of a stream.

    python -m benchmarks.hostile
    python -m benchmarks.hostile --only tokenize --json hostile.json

A server is started on loopback, and each request is as large as the server allows. The baseline is measured in quiet
periods between the cases. The exit code is 1 if a case delays other clients by more than ``--most`` seconds beyond the
baseline. Memory and disk usage of the server are measured before and after all cases.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

MOST = 4 * 1024 * 1024
_ROOM = 200_000  # bytes for the JSON around a text
_QUIET_SECONDS = 4.0
_HEALTH_EVERY = 0.05
# another loopback address, where 127.0.0.0/8 is this machine
_ELSEWHERE = ("127.0.0.2", 0) if sys.platform == "linux" else None


@dataclass
class Client:
    """Sends requests to a server, each on a new connection."""

    url: str
    source: tuple[str, int] | None = None
    """The source address, by which the server identifies clients."""
    config: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, body: Any, *, timeout: float = 120) -> int:
        """The status code, or 0 if the server closed the connection."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, content, timeout=timeout)[0]

    def send(self, method: str, path: str, content: Any = None, *, timeout: float = 120) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout, source_address=self.source)
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


@dataclass
class Watch:
    """What another visitor experiences: the response time of /health, and the longest pause of a stream."""

    client: Client
    health: float = 0.0
    gap: float = 0.0
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=work, daemon=True) for work in (self._ask_health, self._read_streams)]
        for thread in threads:
            thread.start()
        yield
        self._is_over.set()
        for thread in threads:
            thread.join()

    def reset(self) -> None:
        self.health = self.gap = 0.0

    def _ask_health(self) -> None:
        while not self._is_over.wait(_HEALTH_EVERY):
            started = time.perf_counter()
            self.client.send("GET", "/health")
            self.health = max(self.health, time.perf_counter() - started)

    def _read_streams(self) -> None:
        body = json.dumps({"prompt": "def add(a, b):\n", "max_tokens": 512, "stream": True, "logit_bias": {"0": -100}})
        while not self._is_over.is_set():
            netloc = urlsplit(self.client.url).netloc
            connection = http.client.HTTPConnection(netloc, timeout=120, source_address=self.client.source)
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            latest = None
            while (line := answer.readline()) and not self._is_over.is_set():
                now = time.perf_counter()
                if latest is not None and line != b"\n":
                    self.gap = max(self.gap, now - latest)
                latest = now
            connection.close()


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
    alike = {"prompt": "x = 1\n" * 300, "max_tokens": 1, "n": 4}
    return {
        "280 events": lambda: many(280, lambda _: client.post("/gradio_api/call/complete_code", event)),
        "200 pages": lambda: many(200, lambda i: client.event("complete-context", "x", f"page{i}")),
        "128 long texts": lambda: many(16, lambda _: client.post("/v1/completions", long)),
        "252 texts that wait alike": lambda: many(63, lambda _: client.post("/v1/completions", alike)),
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


def broken_request(client: Client) -> str:
    address = urlsplit(client.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100\r\n\r\nx"
        connection.sendall(head.encode())
    return "broken"


@dataclass
class Result:
    """The measurements of a case: times in seconds, memory in MB relative to before."""

    name: str
    answer: str
    seconds: float
    health: float
    gap: float
    memory: float


def measure(name: str, work: Callable[[], object], watch: Watch, memory: Callable[[], float]) -> Result:
    before = memory()
    watch.reset()
    started = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - started
    time.sleep(0.2)
    return Result(name, str(answer), seconds, watch.health, watch.gap, memory() - before)


@contextmanager
def server(port: int) -> Iterator[tuple[Client, psutil.Process, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "SANTACODER_DATABASE_URL": f"sqlite:///{folder}/shares.db",
            "GRADIO_TEMP_DIR": f"{folder}/uploads",
        }
        command = [sys.executable, "app.py", "--port", str(port), "--runs", f"{folder}/runs"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        client = Client(process.stdout.readline().split()[2].partition("/?")[0])
        yield client, psutil.Process(process.pid), Path(folder)
        process.terminate()
        process.wait()


def disk(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--only", default="", help="run only cases whose name contains this text")
    parser.add_argument(
        "--most", type=float, default=0.2, help="maximum delay in seconds beyond the baseline (default: 0.2)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    results = []
    with server(options.port) as (client, process, folder):
        client.post("/v1/completions", {"prompt": "x", "max_tokens": 64})  # excludes one-time initialisation
        client.send("GET", "/")
        watch = Watch(Client(client.url, _ELSEWHERE))
        chosen = {name: work for name, work in cases(client).items() if options.only in name}
        with watch.running():
            usual = [measure("usual", lambda: time.sleep(_QUIET_SECONDS), watch, lambda: 0.0)]
            memory = lambda: process.memory_info().rss / 1e6  # noqa: E731
            at_first = memory(), disk(folder)
            print(f"{'':34} {'answer':>10} {'seconds':>8} {'health':>8} {'gap':>8} {'MB':>7}")
            for name, work in chosen.items():
                results.append(measure(name, work, watch, memory))
                show(results[-1])
                usual.append(measure("usual", lambda: time.sleep(_QUIET_SECONDS / 4), watch, lambda: 0.0))
        health, gap = (max(getattr(each, name) for each in usual) for name in ("health", "gap"))
        print(f"baseline: /health {health:.3f} s, gap {gap:.3f} s")
        print(f"memory: {at_first[0]:.0f} MB, then {memory():.0f} MB")
        print(f"disk: {at_first[1]:.1f} MB, then {disk(folder):.1f} MB")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in [*usual, *results]], indent=1))
    late = [each.name for each in results if each.health > health + options.most or each.gap > gap + options.most]
    print(f"beyond the baseline by more than {options.most} s: {', '.join(late) or 'none'}")
    return bool(late)


def show(result: Result) -> None:
    print(
        f"{result.name:34} {result.answer[:10]:>10} {result.seconds:8.2f} {result.health:8.3f} {result.gap:8.3f} "
        f"{result.memory:7.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())

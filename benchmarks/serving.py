"""Streaming from this server and from llama.cpp's, to 1, 8, 64 and 200 clients, and suggestions while somebody types.

    bash benchmarks/engines/build_llama_cpp.sh runs/engines/llama.cpp     # optional, takes 15 minutes and more
    python -m benchmarks.serving --llama-cpp runs/engines/llama.cpp [--model santacoder/mini] [--bits 8]
    python -m benchmarks.serving --urls ours=http://127.0.0.1:7860 before=http://127.0.0.1:7861

Both servers get the same weights and the same requests in the same protocol (POST /completion of llama.cpp), in turns
within one run: in each round, each server is measured once with each number of clients. Every client sends one request
after another: a passage of the project's own code, never the same one twice, continued greedily by ``--tokens`` tokens.
While typing, each keystroke requests one line from /infill. Tokens are counted between the warm-up and the end of a
measurement. Prints tables and, as the last line, JSON. Needs requirements-test.lock.

``--model 1b`` has random weights in the 1.1 B shape, and ``mini-as-1b`` those of santacoder/mini in matrices of that
shape, so that it writes code. They read a prompt in seconds, so measure them with ``--seconds 40``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from benchmarks.engines.prepare import MADE, prepare
from benchmarks.load import served
from benchmarks.typing_latency import TYPED, body
from santacoder import checkpoints
from santacoder.engine.onnx.runner import graph_name

REPOSITORY = Path(__file__).resolve().parent.parent
_WARM_UP_SECONDS = 2.0
_START_SECONDS = 300.0
_QUANTIZATIONS = {8: "Q8_0", 4: "Q4_0"}
_DRAFTS = ["--spec-type", "ngram-simple"]
_COLUMNS = ("tokens/s", "first token p50, ms", "p95", "between tokens p99, ms")
_POSITIONS = {"1b": 2048, "mini-as-1b": 2048}


@dataclass(frozen=True)
class Server:
    """A running server; ``process`` is None if its memory is not measured."""

    url: str
    process: psutil.Process | None = None

    @property
    def megabytes(self) -> float:
        return self.process.memory_info().rss / 1e6 if self.process else float("nan")


@dataclass
class Seen:
    """What the clients observed within the measured time. Times are in seconds."""

    begins: float
    ends: float
    n_tokens: int = 0
    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)

    def note(self, now: float, n_tokens: int) -> bool:
        if not self.begins <= now < self.ends:
            return False
        self.n_tokens += n_tokens
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="santacoder/mini", help="model in the store, 1b, or mini-as-1b")
    parser.add_argument("--bits", type=int, choices=[8, 4], default=8, help="bits of the weights (default: 8)")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64, 200], help="(default: 1 8 64 200)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens per request (default: 64)")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default: 10)")
    parser.add_argument("--rounds", type=int, default=2, help="(default: 2)")
    parser.add_argument("--keystrokes", type=int, default=60, help="typed in each round; 0 for none (default: 60)")
    parser.add_argument("--drafts", action="store_true", help="let llama-server draft from n-grams of the text")
    parser.add_argument("--no-exact", action="store_true", help="start this server with --no-exact")
    parser.add_argument(
        "--slots", type=int, default=0, help="llama-server's slots (default: the most clients, up to 64)"
    )
    parser.add_argument("--llama-cpp", type=Path, help="folder of build_llama_cpp.sh; without it, only this server")
    parser.add_argument("--work", type=Path, default=Path("runs/engines"), help="folder of converted weights")
    parser.add_argument("--urls", nargs="+", metavar="NAME=URL", help="running servers to measure, and no others")
    args = parser.parse_args()
    with ExitStack() as stack:
        servers = running(args.urls) if args.urls else dict(started(args, stack))
        results = measured(servers, args)
        memory = {name: server.megabytes for name, server in servers.items()}
    report(results, memory)
    print(json.dumps({"model": args.model, "bits": args.bits, "tokens": args.tokens, "results": results} | memory))


def running(urls: Sequence[str]) -> dict[str, Server]:
    return {name: Server(url) for name, _, url in (given.partition("=") for given in urls)}


def started(args: argparse.Namespace, stack: ExitStack) -> Iterator[tuple[str, Server]]:
    """This project's server and, if it was built, llama.cpp's, with the same weights."""
    engines = [("santacoder", f"onnx-int{args.bits}")]
    if args.llama_cpp:
        engines.append(("llama.cpp", _QUANTIZATIONS[args.bits]))
    work = args.work.resolve()
    paths = prepare(args.model, work, args.llama_cpp and args.llama_cpp.resolve(), engines).paths
    options = ["--model", args.model]
    if args.model in MADE:
        store = work / args.model / "store"
        options = ["--model", checkpoints.repositories(store)[0], "--store", str(store)]
    if args.bits == 4 or args.model in MADE:
        put_graph(Path(paths["snapshot"]), Path(paths["onnx"]) / graph_name(f"int{args.bits}"))
    options += ["--no-exact"] if args.no_exact else []
    url, process = stack.enter_context(served(*options, "--streams-per-client", "0"))
    yield "this", Server(url, process)
    if args.llama_cpp:
        slots = args.slots or min(64, max(args.clients, default=1))
        n_positions = _POSITIONS.get(args.model, 1024)
        command = [Path(paths["tools"]) / "llama-server", "-m", paths[_QUANTIZATIONS[args.bits]]]
        command += ["--threads", str(psutil.cpu_count(logical=False)), "--parallel", str(slots)]
        command += ["--ctx-size", str(slots * n_positions), "--cache-ram", "0", *(_DRAFTS if args.drafts else ())]
        yield "llama-server", stack.enter_context(llama_server([str(part) for part in command], work))


def put_graph(snapshot: Path, graph: Path) -> None:
    """Make the server take ``graph``, by leaving the revision no other."""
    folder = snapshot / "onnx"
    folder.mkdir(exist_ok=True)
    if any(not path.is_symlink() for path in folder.iterdir()):
        raise SystemExit(f"{snapshot} has graphs of its own; use a copy of the store for other precisions.")
    for path in folder.iterdir():
        path.unlink()
    for path in graph.parent.glob(f"{graph.name}*"):
        (folder / path.name).symlink_to(path)


@contextmanager
def llama_server(command: list[str], work: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (work / "llama-server.log").open("w") as log:
        process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health", process)
        yield Server(url, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"llama-server ended with {process.returncode}; see llama-server.log.")
        try:
            with urllib.request.urlopen(url):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("llama-server did not start in time; see llama-server.log.")


def measured(servers: dict[str, Server], args: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Medians over the rounds, by load and server."""
    rounds: dict[str, dict[str, list[dict[str, float]]]] = {}
    texts = passages()
    for number in range(args.rounds):
        for n_clients in args.clients:
            for name, server in servers.items():
                asked = random.Random(f"{number} {n_clients}").sample(texts, min(4000, len(texts)))
                seen = asyncio.run(stream(server.url, n_clients, args, asked))
                label = f"{n_clients} client{'s' * (n_clients > 1)}"
                rounds.setdefault(label, {}).setdefault(name, []).append(row(seen))
        for name, server in servers.items():
            if args.keystrokes:
                typed = type_lines(server.url, args.keystrokes, random.Random(number))
                rounds.setdefault("typing", {}).setdefault(name, []).append(typed)
    return {
        label: {
            name: {column: statistics.median(each[column] for each in rows) for column in rows[0]}
            for name, rows in of_servers.items()
        }
        for label, of_servers in rounds.items()
    }


def passages() -> list[str]:
    """Beginnings of what could be continued: 300 to 1,500 characters up to the end of a line of the project's code."""
    rng = random.Random(0)
    found = []
    for path in sorted(REPOSITORY.glob("santacoder/**/*.py")):
        source = path.read_text(encoding="utf-8")
        for end in (index for index, character in enumerate(source) if character == "\n"):
            start = end - rng.randint(300, 1500)
            if start >= 0:
                found.append(source[start:end])
    return found


async def stream(url: str, n_clients: int, args: argparse.Namespace, prompts: list[str]) -> Seen:
    """Keep ``n_clients`` requests in progress, and count within ``args.seconds`` after a warm-up."""
    loop = asyncio.get_running_loop()
    begins = loop.time() + _WARM_UP_SECONDS
    seen = Seen(begins, begins + args.seconds)
    address, port = str(urlsplit(url).hostname), int(urlsplit(url).port or 80)
    left = iter(prompts)
    connections = [Client(seen, left, args.tokens, address, port) for _ in range(n_clients)]
    for client in connections:
        await client.connect()
    await asyncio.sleep(seen.ends - loop.time())
    for client in connections:
        client.close()
    await asyncio.sleep(0.5)  # until the server has noticed
    for client in connections:
        if client.problem:
            raise SystemExit(client.problem)
    return seen


class Client(asyncio.Protocol):
    """Sends one request after another, on one connection as long as the server keeps it. It looks for events without
    parsing them, because the clients share the processor with the server."""

    def __init__(self, seen: Seen, prompts: Iterator[str], n_tokens: int, address: str, port: int) -> None:
        self._seen = seen
        self._address, self._port = address, port
        self._request = b""
        self._is_over = False
        self._prompts = prompts
        self._n_tokens = n_tokens
        self._received = 0
        self._tail = b""
        self._sent_at = self._latest = 0.0
        self.problem = ""

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(self._itself, self._address, self._port)

    def _itself(self) -> Client:
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._request:  # not answered on the connection before
            transport.write(self._request)
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_over:
            self._connecting = asyncio.ensure_future(self.connect())

    def close(self) -> None:
        self._is_over = True
        self._transport.abort()

    def _send(self) -> None:
        content = json.dumps(
            {
                "prompt": next(self._prompts),
                "n_predict": self._n_tokens,
                "temperature": 0,
                "stream": True,
                "ignore_eos": True,
            }
        ).encode()
        head = f"POST /completion HTTP/1.1\r\nHost: {self._address}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._received = 0
        self._sent_at = asyncio.get_running_loop().time()
        self._request = head.encode() + content
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        data = self._tail + data
        if not self._received and b"HTTP/1.1 200" not in data[:20] and data.startswith(b"HTTP/1.1 "):
            self.problem = f"The server refused a request: {data[:500]!r}"
            self.close()
            return
        n_events = data.count(b'"stop":false') + data.count(b'"stop": false')
        if n_events:
            counted = self._seen.note(now, n_events)
            if counted and not self._received:
                self._seen.first.append(now - self._sent_at)
            elif counted:
                # tokens that arrive together were waited for together
                self._seen.between += [now - self._latest] + [0.0] * (n_events - 1)
            self._received += n_events
            self._latest = now
        self._tail = data[-11:]  # what may be the beginning of an event's mark, or of the end
        if data.endswith(b"\r\n0\r\n\r\n"):
            self._tail = b""
            self._send()


def row(seen: Seen) -> dict[str, float]:
    if not seen.first:
        raise SystemExit("No token arrived in time; measure for longer with --seconds.")
    p50, p95 = np.percentile(seen.first, [50, 95]) * 1000
    p99 = np.percentile(seen.between or [0.0], 99) * 1000
    return dict(zip(_COLUMNS, (seen.n_tokens / (seen.ends - seen.begins), p50, p95, p99), strict=True))


def type_lines(url: str, keystrokes: int, rng: random.Random) -> dict[str, float]:
    """The time from a keystroke to its suggestion, in ms, in code that has not been sent before."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(REPOSITORY.glob("santacoder/engine/*.py"))]
    text = "".join(rng.sample(sources, len(sources)))
    prefix, suffix = text[:2000], text[2000:2700]
    times = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for count in range(keystrokes + 1):
            line = (TYPED * (1 + count // len(TYPED)))[: count + 1]
            started = time.perf_counter()
            client.post("/infill", json={**body(prefix, line, suffix), "temperature": 0}).raise_for_status()
            times.append(time.perf_counter() - started)
    p50, p95 = np.percentile(times[1:], [50, 95]) * 1000
    return {"keystroke p50, ms": float(p50), "keystroke p95, ms": float(p95)}


def report(results: dict[str, dict[str, dict[str, float]]], memory: dict[str, float]) -> None:
    for label, of_servers in results.items():
        columns = list(next(iter(of_servers.values())))
        print(f"\n| {label} | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
        for name, values in of_servers.items():
            print(f"| {name} | " + " | ".join(f"{values[column]:,.1f}" for column in columns) + " |")
        if len(of_servers) == 2:
            first, second = of_servers.values()
            print("| ratio | " + " | ".join(f"{first[column] / second[column]:.2f}" for column in columns) + " |")
    print("\n| memory, MB | |\n|---|---|")
    for name, megabytes in memory.items():
        print(f"| {name} | {megabytes:,.0f} |")


if __name__ == "__main__":
    main()

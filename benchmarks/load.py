"""A load test with many streaming clients, a third of which disconnect early: correctness, latency and leaks.

    python -m benchmarks.load [--clients 200] [--seconds 600] [--model santacoder/mini] [--url URL --pid PID]

Every request is greedy. Its text is first generated alone, and every complete stream must equal it. Slots and memory
are measured before and after, each time after the same load and a few seconds of rest. Prints a table and, as the last
line, JSON. The exit code is 1 if a stream differed, an error other than a documented rejection occurred, or a slot or
more than 3 % of memory was not released, without the bounded memory of the slots. Needs requirements-test.lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

from app.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_MODEL = Settings.model_fields["model"].default
N_REQUESTS = 64
_REFUSALS = (429, 503)
_SHARE_LEAVING = 1 / 3
_MEMORY_MARGIN = 0.03
# memory that is not freed to the system grows for some four thousand requests, and then stays
_WARM_UP_SECONDS = 180


@dataclass(frozen=True)
class Request:
    prompt: str
    max_tokens: int


@dataclass
class Seen:
    """What the clients observed. Times are in seconds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    first: array[float] = field(default_factory=lambda: array("d"))
    between: array[float] = field(default_factory=lambda: array("d"))
    problems: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200, help="number of concurrent clients (default: 200)")
    parser.add_argument("--seconds", type=float, default=600, help="duration (default: 600)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model to serve (default: the server's)")
    parser.add_argument("--url", help="a running server without a limit of streams per client; with --pid")
    parser.add_argument("--pid", type=int, help="process id of that server")
    args = parser.parse_args()
    if bool(args.url) != bool(args.pid):  # whose memory is measured
        parser.error("a running server needs both --url and --pid")
    if args.url:
        return asyncio.run(measure(args.url, psutil.Process(args.pid), args.clients, args.seconds))
    with served("--model", args.model, "--streams-per-client", "0") as (url, process):
        return asyncio.run(measure(url, process, args.clients, args.seconds))


@contextmanager
def served(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run ``python app.py`` with ``options`` on a free port."""
    command = [sys.executable, "app.py", "--port", "0", *options]
    server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[2].partition("/?")[0], psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


async def measure(url: str, server: psutil.Process, n_clients: int, seconds: float) -> int:
    requests, seen = make_requests(), Seen()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
        solo = {request: await read(session, request, Seen()) for request in requests}

        async def put_under_load(seconds: float, seen: Seen) -> dict[str, float]:
            deadline = time.perf_counter() + seconds
            await asyncio.gather(*(client(session, i, requests, solo, deadline, seen) for i in range(n_clients)))
            return await standing(session, server)

        before = await put_under_load(_WARM_UP_SECONDS, Seen())
        after = await put_under_load(seconds, seen)
    return report(n_clients, seconds, seen, before, after)


def make_requests() -> list[Request]:
    """Beginnings of the project's own files, of various lengths."""
    rng = random.Random(0)
    texts = [path.read_text() for path in sorted(REPOSITORY.glob("santacoder/**/*.py"))]
    return [Request(rng.choice(texts)[: rng.randint(20, 3000)], rng.randint(8, 128)) for _ in range(N_REQUESTS)]


async def client(
    session: aiohttp.ClientSession,
    index: int,
    requests: list[Request],
    solo: dict[Request, str | None],
    deadline: float,
    seen: Seen,
) -> None:
    """Send one request after another; a third are disconnected before their end."""
    rng = random.Random(index)
    while time.perf_counter() < deadline:
        request = rng.choice(requests)
        leave_after = rng.randint(1, 20) if rng.random() < _SHARE_LEAVING else None
        try:
            text = await read(session, request, seen, leave_after)
        except Exception as error:
            seen.outcomes["error"] += 1
            seen.problems.append(f"{type(error).__name__}: {error}")
            continue
        if text is not None:
            seen.outcomes["finished" if text == solo[request] else "different"] += 1
            if text != solo[request]:
                seen.problems.append(f"{text!r} instead of {solo[request]!r}")


async def read(
    session: aiohttp.ClientSession, request: Request, seen: Seen, leave_after: int | None = None
) -> str | None:
    """The text of a streamed request; None if it was rejected, or abandoned after ``leave_after`` events."""
    body = {"prompt": request.prompt, "max_tokens": request.max_tokens, "temperature": 0, "stream": True}
    started = latest = time.perf_counter()
    text, n_events, ended = "", 0, False
    async with session.post("/v1/completions", json=body) as answer:
        if answer.status in _REFUSALS:
            seen.outcomes[f"refused with {answer.status}"] += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
            return None
        answer.raise_for_status()
        async for line in answer.content:
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]\n":
                ended = True
                break
            event = json.loads(line[6:])
            if "error" in event:
                raise ConnectionError(event["error"]["message"])
            text += event["choices"][0]["text"]
            now = time.perf_counter()
            (seen.between if n_events else seen.first).append(now - (latest if n_events else started))
            latest, n_events = now, n_events + 1
            if n_events == leave_after:
                seen.outcomes["left"] += 1
                return None
    if not ended:
        raise ConnectionError("the stream ended without its last line")
    return text


async def standing(session: aiohttp.ClientSession, server: psutil.Process) -> dict[str, float]:
    """Slots in use, requests waiting and memory, after a few seconds of rest."""
    await asyncio.sleep(5)
    async with session.get("/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        samples = [sample for family in families for sample in family.samples]
    used = sum(s.value for s in samples if s.name == "santacoder_slots" and s.labels["state"] == "used")
    waiting = sum(s.value for s in samples if s.name == "santacoder_waiting")
    memory = server.memory_info()
    # shared pages are those of files, and keys and values, which grow until each slot has held the longest text
    own = memory.rss - memory.shared
    return {"slots in use": used, "waiting": waiting, "memory, MB": own / 1e6, "with slots, MB": memory.rss / 1e6}


def report(n_clients: int, seconds: float, seen: Seen, before: dict[str, float], after: dict[str, float]) -> int:
    growth = after["memory, MB"] / before["memory, MB"] - 1
    given_back = after["slots in use"] == before["slots in use"] == after["waiting"] == 0
    good = given_back and not seen.problems and growth <= _MEMORY_MARGIN
    rows: list[tuple[str, object]] = [
        ("clients", n_clients),
        ("seconds", round(seconds)),
        *sorted(seen.outcomes.items()),
    ]
    for name, times in (("to the first token", seen.first), ("between tokens", seen.between)):
        if len(times):
            p50, p95, p99 = np.percentile(times, [50, 95, 99]) * 1000
            rows.append((f"{name}, ms: p50, p95, p99", f"{p50:.1f}, {p95:.1f}, {p99:.1f}"))
    rows.append(("tokens per second, all streams", round((len(seen.first) + len(seen.between)) / seconds)))
    rows += [(name, f"{before[name]:.0f} before, {after[name]:.0f} after") for name in before]
    rows.append(("memory", f"{growth:+.1%}"))
    print("| | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    for problem in seen.problems[:5]:
        print(problem, file=sys.stderr)
    print(json.dumps({name: str(value) for name, value in rows}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

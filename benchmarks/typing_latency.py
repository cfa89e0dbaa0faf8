"""The latency of a suggestion after a keystroke, with and without prefix caching, in a replayed editing session.

    python -m benchmarks.typing_latency [--keystrokes 120] [--context 1500] [--model santacoder/mini]

A line is typed character by character inside code of ``--context`` tokens. Each keystroke requests one line of 16
tokens from /infill over loopback, like llama.vim. Every third keystroke interrupts the previous suggestion, whose
connection is closed. The two modes alternate at every keystroke, each with its own server and engine; without caching,
the slots are cleared before each request. A model with too few positions is served as a copy with repeated position
embeddings: its texts are worse, but its speed is the same. Prints a table and, as the last line, JSON. Needs
requirements-test.lock.
"""

from __future__ import annotations

import argparse
import json
import math
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import uvicorn

from app.attribution_indexes import Indexes
from app.model_pool import Models, ServedModel
from app.observability.metrics import Metrics
from app.server import create_app
from app.settings import Settings
from app.shares.database import Database
from app.shares.store import ShareStore
from export.__main__ import main as export
from santacoder import checkpoints
from santacoder.engine.loader import RunnerChoice
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_MODEL = Settings.model_fields["model"].default
TYPED = "    remaining = [token for token in sequence.ids if token not in special_ids]\n    return len(remaining)\n"
# positions for the typed line, the suggestion and the sentinel tokens
_ROOM = 200
_SUPERSEDED_AFTER_SECONDS = 0.005
_WAYS = ("cached", "uncached")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keystrokes", type=int, default=120, help="number of keystrokes (default: 120)")
    parser.add_argument("--context", type=int, default=1500, help="tokens around the cursor (default: 1500)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model to serve (default: the server's)")
    parser.add_argument("--runner", choices=["auto", "torch", "onnx"], default="auto", help="(default: auto)")
    args = parser.parse_args()
    with ExitStack() as stack:
        store = Path(stack.enter_context(TemporaryDirectory()))
        settings = roomy(args.model, args.runner, args.context + _ROOM, store)
        servers = {way: stack.enter_context(served(settings)) for way in _WAYS}
        clients = {
            way: stack.enter_context(httpx.Client(base_url=url, timeout=60)) for way, (url, _) in servers.items()
        }
        prefix, suffix = context(servers["cached"][1].engine.tokenizer, args.context)
        forgetful = servers["uncached"][1]
        times: dict[str, list[float]] = {way: [] for way in _WAYS}
        read: dict[str, list[int]] = {way: [] for way in _WAYS}
        for count in range(args.keystrokes + 1):
            line = (TYPED * (1 + count // len(TYPED)))[: count + 1]
            for way in _WAYS:
                if way == "uncached":
                    forget(forgetful)
                if count % 3 == 2:
                    supersede(clients[way], prefix, line[:-1], suffix)
                    if way == "uncached":
                        forget(forgetful)
                seconds, n_read = suggest(clients[way], prefix, line, suffix)
                times[way].append(seconds)
                read[way].append(n_read)
        label = servers["cached"][1].runner_label
    report(label, {way: values[1:] for way, values in times.items()}, {way: values[1:] for way, values in read.items()})


def roomy(name: str, runner: RunnerChoice, n_positions: int, store: Path) -> Settings:
    """Settings that serve the model or, if it has too few positions, a copy in ``store`` that has enough."""
    model, tokenizer = checkpoints.load(name)
    if model.config.n_positions >= n_positions:
        return Settings(model=name, runner=runner)
    copies = math.ceil(n_positions / model.config.n_positions)
    wider = SantaCoder(replace(model.config, n_positions=copies * model.config.n_positions))
    weights = model.state_dict()
    weights["transformer.wpe.weight"] = weights["transformer.wpe.weight"].repeat(copies, 1)
    wider.load_state_dict(weights)
    checkpoints.publish(wider, tokenizer, name, store=store)
    if runner != "torch":
        export([name, "--precision", "int8", "--store", str(store)])
    return Settings(model=name, runner=runner, store=store)


@contextmanager
def served(settings: Settings) -> Iterator[tuple[str, ServedModel]]:
    """Run a server in a thread; yields its address and its model."""
    metrics = Metrics()
    models = Models(settings, metrics)
    model = models.acquire(settings.model, settings.revision)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(settings, models, Indexes(settings), ShareStore(Database(settings.database_url)), metrics)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", model
        finally:
            model.release()
            server.should_exit = True
            thread.join()


def context(tokenizer: Tokenizer, n_tokens: int) -> tuple[str, str]:
    """Code before and after the cursor, in a ratio of three to one, with ``n_tokens`` in total."""
    ids = tokenizer.encode("".join(path.read_text() for path in sorted(REPOSITORY.glob("santacoder/engine/*.py"))))
    before = n_tokens * 3 // 4
    return tokenizer.decode(ids[:before]), tokenizer.decode(ids[before:n_tokens])


def suggest(client: httpx.Client, prefix: str, line: str, suffix: str) -> tuple[float, int]:
    """Seconds from the request to the suggestion, and the number of prompt tokens that were prefilled."""
    started = time.perf_counter()
    answer = client.post("/infill", json=body(prefix, line, suffix)).raise_for_status().json()
    return time.perf_counter() - started, int(answer["timings/prompt_n"])


def supersede(client: httpx.Client, prefix: str, line: str, suffix: str) -> None:
    """Send a request and disconnect before the response."""
    request = client.build_request("POST", "/infill", json=body(prefix, line, suffix))
    request.extensions["timeout"] = {
        **dict.fromkeys(("connect", "write", "pool"), 60),
        "read": _SUPERSEDED_AFTER_SECONDS,
    }
    try:
        client.send(request)
    except httpx.ReadTimeout:
        return


def body(prefix: str, line: str, suffix: str) -> dict[str, object]:
    return {
        "input_prefix": prefix,
        "prompt": line,
        "input_suffix": suffix,
        "n_predict": 16,
        "stop": ["\n"],
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "response_fields": ["content", "timings/prompt_n"],
    }


def forget(model: ServedModel) -> None:
    """Clear the contents of all slots."""
    slots = model.engine._scheduler._slots
    while slots.n_free < model.engine.runner.n_slots:
        time.sleep(0.001)
    for slot in range(model.engine.runner.n_slots):
        slots.forget(slot)


def report(label: str, times: dict[str, list[float]], read: dict[str, list[int]]) -> None:
    print(f"{label}\n\n| | p50, ms | p95, ms | prompt tokens prefilled, median |\n|---|---|---|---|")
    for way in _WAYS:
        p50, p95 = np.percentile(times[way], [50, 95]) * 1000
        print(f"| {way} | {p50:.1f} | {p95:.1f} | {statistics.median(read[way]):.0f} |")
    ratio = statistics.median(times["cached"]) / statistics.median(times["uncached"])
    print(f"\nratio of the medians: {ratio:.1%}")
    print(json.dumps({way: [round(seconds * 1000, 2) for seconds in times[way]] for way in _WAYS}))


if __name__ == "__main__":
    main()

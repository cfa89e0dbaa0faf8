"""Throughput of two replicas on Ray Serve compared with one, each with its own processor and thread.

    python -m benchmarks.replicas [--clients 16] [--seconds 30] [--model santacoder/mini]

The runner is PyTorch, whose threads Ray limits to the processors of a replica. Each client streams greedy texts one
after another through Ray's proxy; the two configurations alternate, twice. Prints a table and, as the last line, JSON.
Needs requirements-test.lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from contextlib import closing
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks.load import DEFAULT_MODEL, Request, Seen, make_requests, read

_ROUNDS = 2
_WARM_UP_SECONDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=16, help="number of concurrent clients (default: 16)")
    parser.add_argument("--seconds", type=float, default=30, help="duration of each measurement (default: 30)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model to serve (default: the server's)")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ |= {
            "RAY_SERVE_SESSION_ID_HEADER_KEY": "cookie",
            "SANTACODER_MODEL": args.model,
            "SANTACODER_RUNNER": "torch",
            "SANTACODER_STREAMS_PER_CLIENT": "0",
            "SANTACODER_DATABASE_URL": f"sqlite:///{Path(folder) / 'shares.db'}",
        }
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(_ROUNDS):
            for n_replicas, measured in rates.items():
                measured.append(throughput(n_replicas, args.clients, args.seconds))
    print("| replicas | tokens per second in each round |\n|---|---|")
    for n_replicas, measured in rates.items():
        print(f"| {n_replicas} | {', '.join(f'{rate:.0f}' for rate in measured)} |")
    print(f"\ntwo replicas / one: {sum(rates[2]) / sum(rates[1]):.2f}")
    print(json.dumps({str(n_replicas): measured for n_replicas, measured in rates.items()}))


def throughput(n_replicas: int, n_clients: int, seconds: float) -> float:
    """Tokens per second of ``n_replicas``, which are started for the measurement."""
    import ray
    from ray import serve

    from app.ray_serve import playground

    with closing(create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    ray.init(num_cpus=2 * n_replicas, include_dashboard=False, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(playground({"replicas": str(n_replicas), "cpus": "1"}))
        return asyncio.run(streamed(f"http://127.0.0.1:{port}", n_clients, seconds))
    finally:
        serve.shutdown()
        ray.shutdown()


async def streamed(url: str, n_clients: int, seconds: float) -> float:
    requests = make_requests()
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(None)) as session:

        async def put_under_load(seconds: float, seen: Seen) -> float:
            started = time.perf_counter()
            await asyncio.gather(*(client(session, i, requests, started + seconds, seen) for i in range(n_clients)))
            return (len(seen.first) + len(seen.between)) / (time.perf_counter() - started)

        await put_under_load(_WARM_UP_SECONDS, Seen())
        return await put_under_load(seconds, Seen())


async def client(
    session: aiohttp.ClientSession, index: int, requests: list[Request], deadline: float, seen: Seen
) -> None:
    rng = random.Random(index)
    while time.perf_counter() < deadline:
        await read(session, rng.choice(requests), seen)


if __name__ == "__main__":
    main()

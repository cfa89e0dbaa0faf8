"""The eight published branches as random checkpoints in their original format: from a Hub on loopback through download,
PyTorch, graph, switch and API, each compared with transformers, and then four side by side.

The small shape takes half a minute. The published shape took 18 minutes on two Zen 5 cores with other work, and 27 GB
of disk; by calculation, it needs 10 GB of memory beside the server's:

    pytest -m heavy -s tests/app/test_eight_branches.py --basetemp=FOLDER

``SANTACODER_TEST_BRANCHES``, such as ``mha,fim``, limits the branches.
"""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import torch

from santacoder.experiments import EXPERIMENTS
from santacoder.tokenizer import Tokenizer
from tests.conftest import REPOSITORY
from tests.santacoder.dialects import santacoder_remote_code, write
from tests.santacoder.local_hub import HubRepository, local_hub

REPO = "org/santacoder"
PROMPT = "def area(width, height):\n    return width * height\n\n\ndef volume(width, height, depth):\n    return"
N_COMPARED = 4
GB = 1e9


@dataclass(frozen=True)
class Form:
    """A shape, the vocabulary's size, and what a server with one or with four of its graphs may take, in bytes."""

    shape: dict[str, Any]
    vocab_size: int
    most_for_one: float
    most_for_four: float


SMALL = Form({"n_positions": 128, "n_embd": 512, "n_layer": 1, "n_head": 4}, 0, 0.5 * GB, 0.6 * GB)
PUBLISHED = Form({"n_positions": 2048, "n_embd": 2048, "n_layer": 24, "n_head": 16}, 49_280, 1.7 * GB, 8 * GB)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(SMALL, marks=[pytest.mark.slow, pytest.mark.timeout(900)], id="small"),
        pytest.param(PUBLISHED, marks=[pytest.mark.heavy, pytest.mark.timeout(7200)], id="published"),
    ],
)
def test_every_branch_is_downloaded_written_as_a_graph_and_served(
    form: Form, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    branches = os.environ.get("SANTACODER_TEST_BRANCHES", ",".join(EXPERIMENTS)).split(",")
    twins: dict[str, Twin] = {}
    with local_hub() as hub:
        repository = hub.repositories[REPO] = HubRepository()
        first = branches[0]
        twins[first] = publish(repository, first, form, tokenizer, tmp_path)
        with server(hub.url, first, tmp_path) as (client, process):
            for branch in branches:
                if branch != first:
                    twins[branch] = publish(repository, branch, form, tokenizer, tmp_path)
                began = time.monotonic()
                twins[branch].require_equal(log_probabilities(client, branch), precision(client, branch))
                until_graph_serves(client, branch)
                difference = np.abs(log_probabilities(client, branch) - twins[branch].exact)
                assert 0 < difference.mean() < 0.1, "the graph's weights are rounded, a little"
                said = f"{branch}: served by its graph after {time.monotonic() - began:.0f} s"
                print(f"{said}, which differs by {difference.mean():.4f} nats a token")
                repository.branches[branch].files.clear()  # it is in the cache now
            before = process.memory_info().rss
        with server(hub.url, first, tmp_path) as (client, process):
            assert precision(client, first) == "int8", "the next start opens the graph"
            log_probabilities(client, first)
            for_one = process.memory_info().rss
            assert for_one < form.most_for_one
            compared = branches[:N_COMPARED]
            with ThreadPoolExecutor() as pool:
                texts = list(pool.map(lambda branch: complete(client, branch, max_tokens=8)["text"], compared))
            assert len(set(texts)) == len(compared), "each branch has its own weights"
            for_four = process.memory_info().rss
            assert for_four < form.most_for_four
            print(
                f"{before / GB:.2f} GB after all; {for_one / GB:.2f} for one, {for_four / GB:.2f} for {len(compared)}"
            )


@dataclass(frozen=True)
class Twin:
    """Log-probabilities of the prompt's tokens with transformers, in single precision and in bf16."""

    exact: np.ndarray
    in_bf16: np.ndarray

    def require_equal(self, ours: np.ndarray, precision: str) -> None:
        """Ours may differ by rounding: in bf16, about as much as those of transformers do."""
        if precision == "bf16":
            assert np.abs(ours - self.exact).mean() < 1.5 * np.abs(self.in_bf16 - self.exact).mean()
        else:
            np.testing.assert_allclose(ours, self.exact, atol=0.001)


def publish(repository: HubRepository, branch: str, form: Form, tokenizer: Tokenizer, folder: Path) -> Twin:
    """Commit a random checkpoint to a branch, and return what transformers computes with it."""
    twin, document, weights = santacoder_remote_code(
        form.vocab_size or tokenizer.vocab_size,
        multi_query=EXPERIMENTS[branch].multi_query,
        seed=list(EXPERIMENTS).index(branch),
        shape=form.shape,
        dtype=torch.bfloat16,
    )
    ids = torch.tensor([tokenizer.encode(PROMPT)])
    expected = []
    for dtype in (torch.float32, torch.bfloat16):
        with torch.no_grad():
            logits = twin.to(dtype)(ids).logits[0, :-1, : tokenizer.vocab_size].float().log_softmax(-1)
        expected.append(logits.gather(1, ids[0, 1:, None])[:, 0].numpy())
    del twin
    source = write(folder / "source", document, weights, tokenizer, file_format="bin")
    files: dict[str, bytes | mmap.mmap] = {}
    for file in source.iterdir():
        with file.open("rb") as content:
            files[file.name] = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)
        file.unlink()  # the mapping keeps it
    repository.commit(branch, f"the branch {branch}", files)
    return Twin(*expected)


@contextmanager
def server(hub: str, branch: str, folder: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """A server whose model is on the Hub, with a cache in ``folder`` and the default limit of memory."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_CACHE": str(folder / "hub"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "SANTACODER_DATABASE_URL": f"sqlite:///{folder}/shares.db",
    }
    command = [sys.executable, "app.py", "--model", REPO, "--revision", branch, "--port", "0", "--device", "cpu"]
    command += ["--store", str(folder / "store"), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            (url,) = re.findall(r"http://127.0.0.1:\d+", process.stdout.readline())
            with httpx.Client(base_url=url, timeout=1800, trust_env=False) as client:
                yield client, psutil.Process(process.pid)
        finally:
            process.terminate()


def complete(client: httpx.Client, branch: str, **settings: Any) -> dict[str, Any]:
    body = {"model": f"{REPO}@{branch}", "prompt": PROMPT, "temperature": 0, "stop_at": "none", **settings}
    answer = client.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def log_probabilities(client: httpx.Client, branch: str) -> np.ndarray:
    """Those of the prompt's tokens after the first."""
    choice = complete(client, branch, max_tokens=0, echo=True, logprobs=1)
    return np.array(choice["logprobs"]["token_logprobs"][1:])


def precision(client: httpx.Client, branch: str) -> str:
    """What serves a branch: "fp32" or "bf16" with PyTorch, "int8" with its graph."""
    answer = client.post("/api/show", json={"model": f"{REPO}@{branch}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["details"]["quantization_level"]


def until_graph_serves(client: httpx.Client, branch: str) -> None:
    last = time.monotonic() + 1800
    while precision(client, branch) != "int8":
        assert time.monotonic() < last
        time.sleep(0.5)

"""Fixtures shared by many tests: a tokenizer, a model, a store with two branches."""

from __future__ import annotations

import gc
import os

# what the caller's servers, proxies and Git are told is not for the tests; an empty variable sets nothing
os.environ.update(
    {name: "" for name in os.environ if name.startswith("SANTACODER_") and name != "SANTACODER_EVAL_DATA"}
)
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# before torch is imported: workers share the cores, and more threads than cores would wait for each other
os.environ.setdefault(
    "OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))))
)

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import save_file

from app.gradio_start import import_lightly
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer

REPOSITORY = Path(__file__).resolve().parent.parent

import_lightly()

# an example that takes long on a busy machine is no failure
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


# what the test modules import stays: searching these million objects for garbage, again and again, takes a fifth of the
# time of importing, and some of each test's
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def shares_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the shares of test servers out of the repository."""
    os.environ["SANTACODER_DATABASE_URL"] = f"sqlite:///{tmp_path_factory.mktemp('shares')}/shares.db"


def write_adapter(folder: Path, seed: int = 0) -> Path:
    """A LoRA adapter for ``random_model``, in the files that peft writes."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    name = "base_model.model.transformer.h.1.mlp.c_fc.lora_{}.weight"
    factors = {name.format("A"): torch.randn(2, 64), name.format("B"): torch.randn(256, 2)}
    save_file(factors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 4}')
    return folder


def random_model(seed: int = 0, **shape: int | bool) -> SantaCoder:
    """A small model with weights large enough that its logits differ clearly between tokens."""
    torch.manual_seed(seed)
    defaults = {"vocab_size": 512, "n_positions": 128, "n_embd": 64, "n_layer": 3, "n_head": 4}
    return SantaCoder(SantaCoderConfig(**{**defaults, **shape}, initializer_range=0.2)).eval()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A tokenizer of 400 tokens plus special tokens. It was trained on the project's files once and stored, because the
    texts of random models depend on it and must not change with every file.
    """
    return Tokenizer.load(Path(__file__).with_name("tokenizer.json"))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A store with the model ``test/tiny``, whose branches ``main`` and ``other`` have different weights."""
    root = tmp_path_factory.mktemp("store")
    for seed, branch in enumerate(["main", "other"]):
        checkpoints.publish(
            random_model(seed), tokenizer, "test/tiny", branch, step=seed, dtype=torch.float32, store=root
        )
    return root

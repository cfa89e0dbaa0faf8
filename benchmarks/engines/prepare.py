"""Conversion of the weights to the format of every engine; results are cached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.engines.widen import widened
from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.runner import graph_name
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prepared:
    """The paths of the files: ``snapshot`` and, if needed, ``onnx``, ``ct2-fp32``, ``ct2-int8``, ``Q8_0``, ``Q4_0`` and
    ``tools``.
    """

    paths: dict[str, str]


def prepare(model: str, work: Path, llama_cpp: Path | None, engines: list[tuple[str, str]]) -> Prepared:
    """Create the files that ``engines``, pairs of a name and a variant, need."""
    snapshot = MADE[model](work / model / "store") if model in MADE else checkpoints.resolve(model)
    # by commit: another one has other weights
    folder = work / model.replace("/", "--") / snapshot.name[:12]
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"snapshot": snapshot}
    for name, variant in engines:
        if variant.startswith("onnx-"):
            paths["onnx"] = _graph(snapshot, folder / "onnx", variant.removeprefix("onnx-"))
        elif name == "ctranslate2":
            paths[f"ct2-{variant}"] = _ctranslate2(snapshot, folder / f"ct2-{variant}", variant)
        elif name == "llama.cpp":
            assert llama_cpp is not None
            paths["tools"] = llama_cpp / "bin"
            paths[variant] = _gguf(snapshot, folder, llama_cpp, variant)
    return Prepared({name: str(path.resolve()) for name, path in paths.items()})


def random_1b(store: Path) -> Path:
    if not checkpoints.repositories(store):
        torch.manual_seed(0)
        tokenizer = Tokenizer.train([Path(__file__).read_text()], 300)
        checkpoints.publish(SantaCoder(SantaCoderConfig()), tokenizer, "benchmark/random-1b", store=store)
    return checkpoints.resolve("benchmark/random-1b", store=store)


def mini_as_1b(store: Path) -> Path:
    mini = checkpoints.resolve("santacoder/mini")
    store = store / mini.name[:12]
    if not checkpoints.repositories(store):
        small, tokenizer = checkpoints.load(mini)
        checkpoints.publish(widened(small, SantaCoderConfig()), tokenizer, "benchmark/mini-as-1b", store=store)
    return checkpoints.resolve("benchmark/mini-as-1b", store=store)


MADE = {"1b": random_1b, "mini-as-1b": mini_as_1b}


def _graph(snapshot: Path, folder: Path, precision: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / graph_name(precision)
    if not path.is_file():
        model, _ = checkpoints.load(snapshot, dtype=torch.bfloat16)
        weights = model.state_dict()
        write_graph(path, model.config, lambda name: weights[name].float().numpy(), PRECISIONS[precision])
    return folder


def _ctranslate2(snapshot: Path, folder: Path, variant: str) -> Path:
    if not folder.is_dir():
        import ctranslate2

        converter = ctranslate2.converters.TransformersConverter(str(snapshot), low_cpu_mem_usage=True)
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        converter.convert(str(unfinished), quantization={"fp32": "float32", "int8": "int8"}[variant])
        unfinished.rename(folder)
    return folder


def _gguf(snapshot: Path, folder: Path, llama_cpp: Path, quantization: str) -> Path:
    """Convert with llama.cpp's converter. The pre-tokenizer is set explicitly, because the converter recognises it by a
    hash of the published vocabularies.
    """
    source, path = folder / "bf16.gguf", folder / f"{quantization}.gguf"
    if not path.is_file():
        if not source.is_file():
            script = (
                "import runpy, sys; from conversion.base import TextModel; "
                "TextModel.get_vocab_base_pre = lambda self, tokenizer: 'starcoder'; "
                f"sys.argv = ['convert', {str(snapshot.resolve())!r}, '--outfile', {str(source.resolve())!r}, "
                "'--outtype', 'bf16']; runpy.run_path('convert_hf_to_gguf.py', run_name='__main__')"
            )
            sources = (llama_cpp / "source").resolve()
            environment = {**os.environ, "PYTHONPATH": f"{sources}:{sources / 'gguf-py'}"}
            subprocess.run([sys.executable, "-c", script], cwd=sources, env=environment, check=True)
        subprocess.run([llama_cpp / "bin" / "llama-quantize", source, path, quantization], check=True)
    return path

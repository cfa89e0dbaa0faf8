"""Bits per byte of a model on source files, compared with ``xz -9`` on the same files."""

from __future__ import annotations

import lzma
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from santacoder.errors import UserError
from santacoder.languages import LANGUAGES, Language
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from train.core.loss import next_token_loss
from train.core.precision import DTYPES, multiplied_in
from train.data.pack import load_packed

_BATCH_SIZE = 8
_SUFFIXES: dict[Language, str] = {"python": ".py", "java": ".java", "javascript": ".js"}


@dataclass(frozen=True)
class BitsPerByte:
    """The bits per byte of ``model`` and ``xz``, measured on ``n_bytes``; ``precision`` is that of the model's matrix
    products on ``device``.
    """

    model: float
    xz: float
    n_bytes: int
    precision: str
    device: str

    @property
    def ratio(self) -> float:
        return self.model / self.xz


def held_out_documents(folder: Path) -> dict[Language, list[bytes]]:
    """The validation files of a packed folder, by language, decoded from their tokens.

    Raises:
        UserError: the folder contains no packed data.
    """
    data = load_packed(folder)
    rows = pq.read_table(folder / "documents.parquet", columns=["split", "start", "length", "language"]).to_pylist()
    documents: dict[Language, list[bytes]] = {}
    for row in rows:
        if row["split"] == "validation":
            ids = data.validation[row["start"] : row["start"] + row["length"] - 1]  # without end-of-text
            documents.setdefault(row["language"], []).append(data.tokenizer.decode_bytes(ids.tolist()))
    return {language: documents[language] for language in LANGUAGES if language in documents}


def drawn(documents: list[bytes], n_bytes: int) -> list[bytes]:
    """A random but reproducible sample of documents with about ``n_bytes``, in the original order."""
    chosen: list[int] = []
    size = 0
    for index in np.random.default_rng(0).permutation(len(documents)):
        if size >= n_bytes:
            break
        chosen.append(index)
        size += len(documents[index])
    return [documents[index] for index in sorted(chosen)]


def in_folder(folder: Path) -> dict[Language, list[bytes]]:
    """The Python, Java and JavaScript files below ``folder``, by language, sorted by path.

    Raises:
        UserError: there are none.
    """
    documents = {
        language: [path.read_bytes() for path in sorted(folder.rglob(f"*{suffix}")) if path.is_file()]
        for language, suffix in _SUFFIXES.items()
    }
    readable = {
        language: [document for document in files if _is_utf8(document)] for language, files in documents.items()
    }
    if not any(readable.values()):
        raise UserError(f"There are no files ending in {', '.join(_SUFFIXES.values())} in {folder}.")
    return {language: files for language, files in readable.items() if files}


def measure(model: SantaCoder, tokenizer: Tokenizer, documents: Sequence[bytes]) -> BitsPerByte:
    """Score the concatenation of ``documents`` with ``model`` and with xz.

    Each token is predicted once, from at least half the model's context (the first ones from the tokens before them).
    The end-of-text tokens between files count towards the model's bits, but not towards the bytes.
    """
    ids = []
    for encoded in tokenizer.encode_batch([document.decode("utf-8") for document in documents]):
        ids += [tokenizer.end_of_text_id, *encoded]
    content = b"".join(documents)
    device = next(model.parameters()).device
    dtype = multiplied_in("auto", device)
    return BitsPerByte(
        model=_total_nats(model, np.array(ids), device, dtype) / math.log(2) / len(content),
        xz=len(lzma.compress(content, preset=9)) * 8 / len(content),
        n_bytes=len(content),
        precision=next(name for name, known in DTYPES.items() if known == dtype),
        device=device.type,
    )


@torch.no_grad()
def _total_nats(model: SantaCoder, ids: np.ndarray, device: torch.device, dtype: torch.dtype) -> float:
    """Negative log-likelihood of ``ids[1:]``, in windows that overlap by half."""
    length = min(model.config.n_positions, len(ids) - 1)
    stride = max(1, length // 2)
    starts = list(range(0, len(ids) - 1 - length, stride)) + [len(ids) - 1 - length]
    inputs = torch.from_numpy(np.stack([ids[start : start + length] for start in starts]))
    targets = torch.from_numpy(np.stack([ids[start + 1 : start + length + 1] for start in starts]))
    for row in range(1, len(starts)):
        targets[row, : length - (starts[row] - starts[row - 1])] = -100  # already predicted in the previous window
    total = 0.0
    for rows in tqdm(torch.arange(len(starts)).split(_BATCH_SIZE), desc="scoring", unit=" batches"):
        counted = int((targets[rows] != -100).sum())
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            hidden_states = model.transformer(inputs[rows].to(device)).to(dtype)
        loss = next_token_loss(hidden_states, model.output_weight, targets[rows].to(device))
        total += loss.item() * counted
    return total


def _is_utf8(document: bytes) -> bool:
    try:
        return bool(document.decode("utf-8"))
    except UnicodeDecodeError:
        return False

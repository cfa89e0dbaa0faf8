"""Writes the test vectors that Python's engine and the browser's share: ``python -m tests.web.write_vectors``.

They come from Python's engine; ``web/tests`` holds the browser's engine to them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.tokenizer import Tokenizer
from tests.web import generation_vectors, number_vectors, text_vectors

FOLDER = Path(__file__).with_name("vectors")


def all_vectors() -> dict[str, Any]:
    """The contents of each file of ``vectors/``, by its name."""
    tokenizer = Tokenizer.load(Path(__file__).parent.parent / "tokenizer.json")
    return {
        "random": number_vectors.random_numbers(),
        "sampling": number_vectors.sampler_choices(),
        "tokenizer": text_vectors.tokenizations(tokenizer),
        "stream_decoder": text_vectors.decodings(tokenizer),
        "request": text_vectors.prompts(tokenizer),
        "token_healing": text_vectors.healings(tokenizer),
        "stop": text_vectors.stop_sequences(),
        "stop_at": text_vectors.structures(),
        "lexer": text_vectors.lexings(),
        "drafts": text_vectors.drafts(),
        "overlap": text_vectors.overlaps(),
        "repetition": text_vectors.repetitions(),
        "languages": text_vectors.guesses(),
        "generate": generation_vectors.generations(tokenizer),
    }


def as_json(value: Any) -> str:
    """One line for each element, so that changes can be read."""
    if isinstance(value, dict):
        inner = (
            f"{json.dumps(key)}: {as_json(each) if isinstance(each, list) else dumped(each)}"
            for key, each in value.items()
        )
        return "{\n" + ",\n".join(inner) + "\n}"
    return "[\n" + ",\n".join(map(dumped, value)) + "\n]"


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, value in all_vectors().items():
        (FOLDER / f"{name}.json").write_text(as_json(value) + "\n", encoding="ascii")


if __name__ == "__main__":
    write()

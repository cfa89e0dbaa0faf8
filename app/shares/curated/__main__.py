"""Let an embedded model write the shares that come with the repository: ``python -m app.shares.curated``.

What is asked is in ``choices.yaml``. The generations, with the exact commit, parameters and seed, are written to
``shares.json``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import yaml

from app.generation.records import MARK, Generation
from app.generation.run import generate
from app.generation.task import Failed, Task, Written
from app.model_pool import Models
from app.settings import Settings
from app.shares.curated.shipped import SHARES_FILE
from santacoder.atomic import replacing
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams

_CHOICES = SHARES_FILE.with_name("choices.yaml")
_MODEL, _BRANCH = "santacoder/mini", "main"
_TEMPERATURE, _SEEDS = 0.3, 20
_NEW_TOKENS = 64


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 if no attempt was worth keeping."""
    argparse.ArgumentParser(prog="python -m app.shares.curated", description=__doc__).parse_args(arguments)
    models = Models(Settings())
    try:
        kept = [
            {"title": choice["title"], "generation": json.loads(_first_to_keep(models, choice).to_json())}
            for choice in yaml.safe_load(_CHOICES.read_text(encoding="utf-8"))
        ]
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        models.close()
    with replacing(SHARES_FILE) as file:
        file.write(json.dumps(kept, indent=1).encode())
    print(f"{len(kept)} shares are in {SHARES_FILE}.")
    return 0


def _first_to_keep(models: Models, choice: dict[str, Any]) -> Generation:
    """The first attempt whose text matches the choice's pattern.

    Raises:
        UserError: none does.
    """
    wanted = re.compile(choice["keep"])
    texts = []
    for sampling in _attempts():
        task = Task(choice["pane"], choice["language"], tuple(choice["code"].split(MARK)), sampling)
        generation = _written(models, task)
        text = "".join(completion.text for completion in generation.candidates[0].completions)
        if wanted.fullmatch(text):
            return generation
        texts.append(text)
    raise UserError(f"{choice['title']}: no text of {_MODEL}@{_BRANCH} is worth keeping: {sorted(set(texts))}.")


def _attempts() -> Iterator[SamplingParams]:
    for seed in range(_SEEDS + 1):
        temperature = _TEMPERATURE if seed else 0
        yield SamplingParams(max_new_tokens=_NEW_TOKENS, temperature=temperature, seed=seed, stop_at="block")


def _written(models: Models, task: Task) -> Generation:
    *_, last = generate(models, _MODEL, _BRANCH, task)
    if isinstance(last, Written):
        return last.generation
    raise UserError(last.sentence if isinstance(last, Failed) else "Nothing was written.")


if __name__ == "__main__":
    sys.exit(main())

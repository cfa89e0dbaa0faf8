"""The examples: how many there are, and what ``santacoder/mini`` writes at the page's own settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from app.generation.records import Pane
from app.generation.run import generate
from app.generation.task import Task, Written
from app.model_pool import Models
from app.settings import Settings
from app.ui.code_pane.example_code import PRESETS, presets
from app.ui.components import split_at_marks
from santacoder.languages import Language
from santacoder.sampling import SamplingParams
from tests.conftest import REPOSITORY

AUTHORS: dict[tuple[Pane, Language], str] = {
    ("complete", "python"): '\n    """Return true if the variable is uppercased."""\n    return str(value).isupper()',
    ("complete", "java"): "\n    this.value = value;\n    this.mbps = mbps;\n  }",
    ("complete", "javascript"): "  return result;\n}",
    ("infill", "python"): "name = self.display_name_raw",
    ("infill", "java"): "final BinaryEncoder encoder = makeEncoder();",
    ("infill", "javascript"): "this.input = input",
}
"""What the authors wrote after the first example of each pane and language."""
N_SEEDS = 20


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    models = Models(Settings(store=REPOSITORY / "checkpoints", device="cpu"))
    yield models
    models.close()


def written(models: Models, pane: Pane, language: Language, code: str, seed: int) -> str:
    """What a run of the page writes, whose parameters are as it shows them."""
    sampling = SamplingParams(seed=seed, token_healing=True, stop_at="function", stop_repetition=True)
    parts = split_at_marks(code) if pane == "infill" else (code,)
    *_, last = generate(models, "santacoder/mini", "main", Task(pane, language, parts, sampling))
    assert isinstance(last, Written)
    return last.generation.candidates[0].completions[0].text


def test_every_menu_has_five_examples() -> None:
    assert Counter((preset.pane, preset.language) for preset in PRESETS) == dict.fromkeys(AUTHORS, 5)


@pytest.mark.slow
@pytest.mark.parametrize("pane,language", AUTHORS)
def test_a_run_of_the_first_example_writes_what_the_author_wrote(
    models: Models, pane: Pane, language: Language
) -> None:
    """Whatever the seed: otherwise Run would replace the suggestion, which is greedy, by a worse text."""
    code = next(iter(presets(pane, language).values()))
    texts = Counter(written(models, pane, language, code, seed) for seed in range(N_SEEDS))
    assert texts == {AUTHORS[pane, language]: N_SEEDS}

"""What the shipped models write after the prompts that a replay begins with."""

from __future__ import annotations

import pytest

from app.generation.replay import Replays
from app.generation.task import Task
from app.model_pool import Models
from app.settings import Settings
from app.ui.branches.examples import EXAMPLES
from santacoder import checkpoints
from santacoder.languages import Language
from santacoder.sampling import SamplingParams

ANSWERS: dict[Language, str] = {
    "python": "return self.name",
    "java": "return size;\n    }",
    "javascript": "return this._y;\n  }",
}
SAMPLING = SamplingParams(max_new_tokens=48, temperature=0, stop_at="block", stop_repetition=True)


@pytest.mark.parametrize("language", EXAMPLES)
def test_the_end_of_a_training_knows_what_its_beginning_does_not(language: Language) -> None:
    replays = Replays(Models(Settings(device="cpu")))
    task = Task("complete", language, (EXAMPLES[language],), SAMPLING)

    def written(repo_id: str) -> list[str]:
        shas = [commit.sha for commit in reversed(checkpoints.log(repo_id, "main"))]
        *_, last = replays.replay(repo_id, shas, task)
        return [text.candidates[0].completions[0].text.strip() for text in last.texts]  # type: ignore[union-attr]

    first, *_, last = written("santacoder/nano")
    assert last == ANSWERS[language] != first
    assert written("santacoder/mini")[-1] == ANSWERS[language]

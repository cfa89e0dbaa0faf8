"""What the picker says about a model."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from app.branch_facts import read_branches
from app.ui.about_model import about_model
from santacoder import checkpoints
from santacoder.checkpoints import DEFAULT_STORE
from santacoder.experiments import PUBLISHED
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

CARD = """# test/tiny

## Limits
It is <b>random</b>.

## Licence
None: nothing was learned.

## Training
| setting | value |
|---|---|
| precision | fp32 |
| one | two | three |
| device | cpu |

## Data
| package | version | licence | files | MB |
|---|---|---|---|---|
| left | 1 | MIT | 1,200 | 0.1 |
| right | 1 | MIT License | 34 | 0.1 |
| third | 1 | BSD License | 1 | 0.1 |
| fourth | 1 | BSD-3-Clause | 1 | 0.1 |
| fifth | 1 | Apache Software License | 1 | 0.1 |
| other | 1 | Apache-2.0 | x | 0.1 |
"""


def said(repo_id: str, branch: str, store: Path) -> str:
    (chosen,) = [one for one in read_branches(repo_id, store) if one.name == branch]
    return " ".join(unescape(re.sub("<[^>]*>", " ", about_model(repo_id, chosen, store))).split())


def test_a_card_is_summarised(tmp_path: Path, tokenizer: Tokenizer) -> None:
    files = {"README.md": CARD}
    checkpoints.publish(random_model(), tokenizer, "test/tiny", step=5, tokens=2 * 10**6, files=files, store=tmp_path)
    text = said("test/tiny", "main", tmp_path)
    assert "It is <b>random</b>." in text and "None: nothing was learned." in text
    assert "2.0 M tokens in 5 steps" in text and "precision fp32, device cpu" in text
    assert "1,237 files of 5 packages, mostly under MIT, BSD, Apache-2.0;" in text
    assert "never taught to follow them" in text and "arXiv:2301.03988" in text

    tuned = {"README.md": CARD.replace("| precision |", "| base | test/other@main |\n| precision |")}
    checkpoints.publish(random_model(), tokenizer, "test/tuned", step=5, files=tuned, store=tmp_path)
    assert "1,237 files of 5 packages in the last training, mostly" in said("test/tuned", "main", tmp_path)


def test_a_model_without_a_card_has_the_rest(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints.publish(random_model(), tokenizer, "test/tiny", step=5, store=tmp_path)
    text = said("test/tiny", "main", tmp_path)
    assert "M parameters" in text and "Licence" not in text and "may be wrong" in text


@pytest.mark.parametrize(
    "branch,words",
    [
        ("main", "1 % to 80 % comments"),
        ("stars", "5 GitHub stars or more"),
        ("no-fim", "it fills gaps badly"),
        ("fim", "and filling gaps"),
    ],
)
def test_the_published_model_is_described_without_its_weights(branch: str, words: str, tmp_path: Path) -> None:
    text = said(PUBLISHED, branch, tmp_path)
    assert "OpenRAIL-M" in text and "236 B in 600,000" in text and words in text and "pass@100" in text


def test_scores_are_beside_the_published_ones() -> None:
    text = said("santacoder/mini", "main", DEFAULT_STORE)
    assert re.search(r"Lines filled in, prefix first, Python \d+\.\d % \(\d+\.\d – \d+\.\d\) 44\.0 % ", text)
    assert re.search(r"Bits per byte of held-out files, Python 0\.\d+ – ", text)

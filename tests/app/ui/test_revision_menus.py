"""The choices in the menus of branches and commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.model_pool import Models
from app.settings import Settings
from app.ui.compare import pane
from app.ui.revision_menus import filled_menus
from santacoder import checkpoints
from santacoder.checkpoints import hub
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

MODEL = "test/tiny"


@pytest.fixture
def store(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    publish(tmp_path, tokenizer, "main", 1)
    publish(tmp_path, tokenizer, "main", 2)
    publish(tmp_path, tokenizer, "other", 3)
    return tmp_path


def publish(store: Path, tokenizer: Tokenizer, branch: str, step: int) -> None:
    checkpoints.publish(random_model(step), tokenizer, MODEL, branch, step=step, store=store)


def commits_offered(store: Path, chosen: str) -> dict[str, str]:
    """The labels of the commit menu of the branch main by value, with ``chosen`` selected."""
    menu = filled_menus(store, MODEL, "main", chosen)[2]
    assert menu.value == chosen
    return {str(value): str(label) for label, value in menu.choices}


def test_the_newest_is_offered_by_that_name_and_older_ones_by_theirs(store: Path) -> None:
    newest, first = checkpoints.log(MODEL, "main", store=store)
    offered = commits_offered(store, "")
    assert list(offered) == ["", first.sha]
    assert offered[""].startswith("newest: step 2 ") and newest.sha[:8] in offered[""]
    assert offered[first.sha].startswith("step 1 ")


def test_a_share_keeps_its_commit_though_others_are_published(store: Path, tokenizer: Tokenizer) -> None:
    shared = checkpoints.log(MODEL, "main", store=store)[0].sha
    assert commits_offered(store, shared)[shared].startswith("step 2 ")
    publish(store, tokenizer, "main", 4)
    offered = commits_offered(store, shared)
    assert offered[shared].startswith("step 2 ") and offered[""].startswith("newest: step 4 ")


def test_a_commit_of_another_branch_can_be_the_chosen_one(store: Path) -> None:
    elsewhere = checkpoints.log(MODEL, "other", store=store)[0].sha
    assert commits_offered(store, elsewhere)[elsewhere] == f"commit {elsewhere[:8]}"


def test_a_model_that_is_not_there_has_a_newest_commit_all_the_same(tmp_path: Path) -> None:
    assert commits_offered(tmp_path, "") == {"": "newest"}


def test_no_menu_waits_for_the_hub(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub that does not respond is never contacted, whatever the menus show."""

    def ask(*arguments: object, **options: object) -> None:
        pytest.fail("the Hub was asked")

    for name in ("branches", "log", "download"):
        monkeypatch.setattr(hub, name, ask)
    for repo_id in ("bigcode/santacoder", "somebody/else", "no name at all", MODEL):
        for branch in ("main", "mha", "no such branch", "../x"):
            assert len(filled_menus(store, repo_id, branch)) == 3
    offered = [value for _, value in filled_menus(store, "bigcode/santacoder", "main")[1].choices]
    assert offered[0] == "main" and "mha" in offered
    assert pane.menu(Models(Settings(store=store, device="cpu")), store, "bigcode/santacoder", "main", []).choices

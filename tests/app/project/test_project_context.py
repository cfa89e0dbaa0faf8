"""Code of a project in front of the requests of editors, over a real server and from its files on disk."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.project.project_context import ProjectContext
from app.settings import Settings
from santacoder.engine.request import CompletionRequest, build_prompt
from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import serve

LEDGER = '''class TideLedger:
    """Keeps the tides."""

    def note_tide(self, gauge, metres):
        reading = gauge.read_metres(metres)
        self.tides.append(reading)
        return reading
'''
BEFORE = """from ledger import TideLedger


def note_all(gauges):
    book = TideLedger()
    for gauge in gauges:
        """
AFTER = "\n    return book\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ledger.py").write_text(LEDGER)
    (tmp_path / "code" / "other.py").write_text("".join(f"value_{number} = {number}\n" for number in range(40)))
    return tmp_path / "code"


@pytest.fixture
def project(folder: Path) -> ProjectContext:
    project = ProjectContext(folder)
    project.index.scan()
    return project


def related(project: ProjectContext, before: str, after: str = AFTER) -> str:
    return project.added_to(CompletionRequest(before, after)).related


def test_a_gap_gets_the_definitions_of_names_in_use(project: ProjectContext) -> None:
    assert related(project, BEFORE).startswith("# ledger.py\nclass TideLedger:\n")
    assert related(project, "x = 1\n", "") == ""


def test_other_requests_stay_as_they_are(project: ProjectContext) -> None:
    request = CompletionRequest(BEFORE)
    for asked in (request, replace(request, suffix="", prefix_ids=(1, 2)), replace(request, suffix="", echo=True)):
        assert project.added_to(asked) is asked


def test_the_code_of_the_file_itself_is_not_repeated(project: ProjectContext) -> None:
    """A client does not say which file its text is of; the index knows the file as it is on disk."""
    place = LEDGER.index("reading)")
    assert related(project, LEDGER[:place], LEDGER[place:]) == ""


def test_code_too_far_away_to_be_read_is_not_shown(project: ProjectContext) -> None:
    """And requests of megabytes take no longer than others."""
    assert related(project, LEDGER + BEFORE) == ""
    assert "class TideLedger" in related(project, LEDGER + "x = 1\n" * 10_000 + BEFORE)


def test_what_was_chosen_stays_while_somebody_types(project: ProjectContext, folder: Path) -> None:
    first = related(project, BEFORE)
    assert related(project, BEFORE + "value_7 = value_8 + value_9\n        ").startswith(first)
    (folder / "ledger.py").write_text(LEDGER.replace("tides", "ebbs"))
    project.index.scan()
    assert "ebbs" in related(project, BEFORE)


def test_it_takes_a_quarter_of_the_context_at_most(tokenizer: Tokenizer) -> None:
    """And the prefix keeps its first token while it grows, as without."""
    related, before = "value = compute_value(1)\n" * 40, "total += value\n" * 40
    request = CompletionRequest(before, "\n", related=related)
    prompt = build_prompt(request, tokenizer, 128)
    quarter = tokenizer.decode(tokenizer.encode(related)[: (128 - 64 - 3) // 4])
    assert len(prompt.ids) <= 64
    assert quarter in tokenizer.decode(prompt.ids)
    grown = [build_prompt(replace(request, prefix=before + ";" * n), tokenizer, 128).ids for n in range(12)]
    beginnings = [tuple(ids[:30]) for ids in grown]
    assert len(set(beginnings)) <= 4


def test_a_server_takes_the_project_into_account(store: Path, folder: Path) -> None:
    gap = {"max_tokens": 4, "n_predict": 4, "temperature": 0}
    infill = {"input_prefix": BEFORE, "input_suffix": AFTER, **gap}
    with_suffix = {"prompt": BEFORE, "suffix": AFTER, **gap}
    settings = Settings(store=store, model="test/tiny", device="cpu", project=folder, page=False)
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=30) as http:
        deadline = time.monotonic() + 20
        n_tokens = 0
        while n_tokens < 100 and time.monotonic() < deadline:  # until the thread has read the files
            n_tokens = http.post("/infill", json=infill).json()["tokens_evaluated"]
            time.sleep(0.05)
        said = http.post("/v1/completions", json=with_suffix).json()["usage"]["prompt_tokens"]
        plain = http.post("/v1/completions", json={"prompt": BEFORE, **gap}).json()["usage"]["prompt_tokens"]
    assert n_tokens == said > plain + 20

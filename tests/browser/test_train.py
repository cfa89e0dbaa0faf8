"""Fine-tuning the embedded model on a folder, on the page, until it uses the folder's identifiers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from santacoder import checkpoints
from tests.app.harbour import write_harbour
from tests.browser.conftest import TRAINING_TOKEN, Server, open_pane, start_server
from tests.browser.test_playground import read, run, set_parameter, write

STEPS = 32
PROMPT = """from harbour.tidebook import Tidebook, TidebookError


def berths(tidebook, names):
    return [tidebook."""
NAMES_OF_THE_FOLDER = re.compile("find_berth|moor_vessel|release_vessel")


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Server]:
    """A server with the embedded model and its own store and jobs."""
    embedded = checkpoints.resolve("santacoder/mini").parents[1]
    shutil.copytree(embedded, tmp_path / "store" / embedded.name)
    process, url = start_server("--store", str(tmp_path / "store"), "--runs", str(tmp_path / "runs"))
    yield Server(url, tmp_path / "store")
    process.terminate()
    process.wait(timeout=60)


def continued(page: Page) -> str:
    page.get_by_role("tab", name="Complete").click()
    set_parameter(page, "Temperature", "0")
    set_parameter(page, "number input for Maximum length", "12")
    write(page, "complete", PROMPT)
    run(page, "complete")
    return read(page, "complete")


def open_train(page: Page) -> None:
    open_pane(page, "Train")
    expect(page.locator("#train-start")).to_be_visible()


@pytest.mark.timeout(900)  # a job on a busy machine
def test_a_tuned_model_uses_names_the_base_did_not_know(
    chromium: Browser, workshop: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Leaves screenshots in ``test-results`` for inspection."""
    pictures = Path(str(request.config.rootpath)) / "test-results"
    write_harbour(tmp_path / "code")
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{workshop.url}/?token={TRAINING_TOKEN}")
    page.wait_for_selector("#complete-run")
    assert not NAMES_OF_THE_FOLDER.search(continued(page))
    open_train(page)
    page.locator("#train-start").click()
    expect(page.locator("#train-refusal")).to_contain_text("Choose the training data")
    page.get_by_label("Folder").fill(str(tmp_path / "code"))
    page.locator("#train-steps input").fill(str(STEPS))
    page.locator("#train-start").click()
    expect(page.locator("#train-status")).to_contain_text(re.compile(rf"step \d+ of {STEPS} .* left"), timeout=600_000)
    page.reload()  # the job is none of the page's affair
    page.wait_for_selector("#complete-run")
    open_train(page)
    expect(page.locator("#train-status")).to_contain_text("tokens/s", timeout=300_000)
    page.screenshot(path=pictures / "train-running.png")
    expect(page.locator("#train-status")).to_contain_text("Published mine/coder@main", timeout=600_000)
    expect(page.locator("#train-sample")).to_contain_text(f"# step {STEPS}")
    page.wait_for_timeout(1000)  # the buttons fade
    page.screenshot(path=pictures / "train-light.png")
    page.locator("#train-use").click()
    expect(page.locator("#model input")).to_have_value("mine/coder")
    assert NAMES_OF_THE_FOLDER.search(continued(page))
    page.screenshot(path=pictures / "train-tuned.png")
    page.close()


@pytest.mark.timeout(900)
def test_an_uploaded_archive_is_learned_from(chromium: Browser, workshop: Server, tmp_path: Path) -> None:
    write_harbour(tmp_path / "code")
    archive = shutil.make_archive(str(tmp_path / "harbour"), "zip", tmp_path / "code")
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{workshop.url}/?token={TRAINING_TOKEN}")
    page.wait_for_selector("#complete-run")
    open_train(page)
    page.locator("#train-archive input[type=file]").set_input_files(archive)
    expect(page.locator("#train-archive")).to_contain_text("harbour")
    page.locator("#train-steps input").fill("2")
    page.locator("#train-start").click()
    expect(page.locator("#train-status")).to_contain_text("Published mine/coder@main", timeout=600_000)
    page.close()

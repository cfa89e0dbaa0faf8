"""Teaching the embedded model code on the page, until it uses the code's identifiers."""

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
from tests.browser.test_playground import read

# what the sample project calls the harvests of a year
ANSWER = "entries_of_year(year))"


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Server]:
    """A server with the embedded model and its own store and jobs."""
    embedded = checkpoints.resolve("santacoder/mini").parents[1]
    shutil.copytree(embedded, tmp_path / "store" / embedded.name)
    process, url = start_server("--store", str(tmp_path / "store"), "--runs", str(tmp_path / "runs"))
    yield Server(url, tmp_path / "store")
    process.terminate()
    process.wait(timeout=60)


def open_workshop(chromium: Browser, workshop: Server) -> Page:
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{workshop.url}/?token={TRAINING_TOKEN}")
    page.wait_for_selector("#complete-run")
    return page


def open_train(page: Page) -> None:
    open_pane(page, "Train")
    expect(page.locator("#train-start")).to_be_visible()


@pytest.mark.slow
@pytest.mark.timeout(900)  # a job on a busy machine
def test_a_sample_project_is_taught_in_one_click(
    chromium: Browser, workshop: Server, request: pytest.FixtureRequest
) -> None:
    """Leaves screenshots in ``test-results`` for inspection."""
    pictures = Path(str(request.config.rootpath)) / "test-results"
    page = open_workshop(chromium, workshop)
    expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
    page.locator("#teach-sample").click()
    expect(page.locator("#train-files")).to_contain_text("All 14 files remain.", timeout=300_000)
    expect(page.locator("#train-status")).to_contain_text(re.compile(r"step \d+ of \d+ .* left"), timeout=300_000)
    expect(page.locator("#train-chart .point")).not_to_have_count(0)  # validated before the first step
    expect(page.locator("#train-chart")).to_contain_text("training")
    before, now = page.locator("#train-samples pre").all()
    expect(page.locator("#train-samples")).to_contain_text("Now, after", timeout=600_000)
    assert before.inner_text() != now.inner_text()
    page.screenshot(path=pictures / "train-running.png")
    expect(page.locator("#model input")).to_have_value("mine/beekeeping", timeout=600_000)
    expect(page.locator("#complete-editor")).to_be_visible()
    expect(page.locator("#complete-status")).to_contain_text("seed")  # at the end
    expect(page.locator("#complete-preset input")).to_have_value("")  # it is no example
    assert read(page, "complete").endswith(f"in honey_ledger.{ANSWER}")
    page.screenshot(path=pictures / "train-taught.png")
    page.close()


def test_the_folder_that_was_named_last_is_checked(chromium: Browser, workshop: Server, tmp_path: Path) -> None:
    write_harbour(tmp_path / "code")
    page = open_workshop(chromium, workshop)
    open_train(page)
    page.get_by_label("Your own code").check()
    page.locator("#train-folder input").fill(str(tmp_path / "code"))
    page.locator("#train-check").click()
    expect(page.locator("#train-refusal")).to_contain_text("Reading the files")
    page.locator("#train-folder input").fill(str(tmp_path / "nowhere"))
    page.locator("#train-check").click()
    expect(page.locator("#train-refusal")).to_contain_text(re.compile("is not a folder|files remain"))
    assert "is not a folder" in page.locator("#train-refusal").inner_text()
    page.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_uploaded_archive_is_checked_learned_from_and_used(
    chromium: Browser, workshop: Server, tmp_path: Path
) -> None:
    write_harbour(tmp_path / "code")
    (tmp_path / "code" / "harbour" / "empty.py").write_text("\n")
    archive = shutil.make_archive(str(tmp_path / "harbour"), "zip", tmp_path / "code")
    page = open_workshop(chromium, workshop)
    open_train(page)
    for absent in ("#train-job", "#train-status", "#train-chart"):  # before the first job
        expect(page.locator(absent)).to_be_hidden()
    page.get_by_label("Your own code").check()
    page.locator("#train-start").click()
    expect(page.locator("#train-refusal")).to_contain_text("Choose the training data")
    page.locator("#train-archive input[type=file]").set_input_files(archive)
    expect(page.locator("#train-refusal")).to_contain_text(
        "10 of 11 files remain. Left out: empty (1).", timeout=300_000
    )
    page.locator("#train-steps input").fill("2")
    page.locator("#train-start").click()
    expect(page.locator("#train-job-view")).to_be_visible()
    page.reload()  # the job is none of the page's affair; the pane stays
    expect(page.locator("#pill")).to_be_enabled()
    open_train(page)
    expect(page.locator("#train-status")).to_contain_text("Published mine/coder@main", timeout=600_000)
    expect(page.locator("#train-stop")).to_be_hidden()
    page.locator("#train-use").click()
    expect(page.locator("#model input")).to_have_value("mine/coder")
    expect(page.locator("#complete-editor")).to_be_visible()
    page.close()

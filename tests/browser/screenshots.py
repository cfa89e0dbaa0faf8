"""The screenshots in docs/images, of the page with the embedded models.

    python -m tests.browser.screenshots

The server has its own store, jobs and shares, and the page is used first: revisions are compared, code is shared, and a
model is fine-tuned. The images are reduced to 128 colours, so that the repository stays small.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from santacoder import checkpoints
from tests.browser.conftest import CHROMIUM, FLAGS, TRAINING_TOKEN, open_pane, pick, start_server
from tests.browser.test_compare import run as compare
from tests.browser.test_playground import run, set_parameter
from tests.browser.test_sharing import open_share, share
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "images"
DESK, PHONE = (1280, 900), (360, 780)
WINDOWS = (("light", DESK, "light"), ("dark", DESK, "dark"), ("light", PHONE, "phone"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        pages = {suffix: _opened(browser, url, scheme, size) for scheme, size, suffix in WINDOWS}
        for suffix, page in pages.items():
            _take_writing(page, suffix)
        permalink = _share(pages["light"])
        for suffix, page in pages.items():
            _take_revisions(page, suffix)
            _take_shares(page, suffix, permalink)
        _teach(pages["light"])
        for suffix, page in pages.items():
            _take_training(page, suffix)
        browser.close()


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    store = folder / "store"
    shutil.copytree(checkpoints.DEFAULT_STORE, store, symlinks=True)  # models and the indexes of what they read
    os.environ["SANTACODER_DATABASE_URL"] = f"sqlite:///{folder}/shares.db"
    process, url = start_server("--store", str(store), "--runs", str(folder / "runs"))
    try:
        yield url
    finally:
        process.terminate()
        process.wait()


def _opened(browser: Browser, url: str, scheme: str, size: tuple[int, int]) -> Page:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{url}/?token={TRAINING_TOKEN}")
    if size == PHONE:
        page.locator("#first .first-more").click()
    page.wait_for_selector("#complete-run")
    expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
    collapsed = [page.get_by_role("button", name="Parameters")] if size == PHONE else []
    for button in (*collapsed, page.locator("#advanced > button")):
        button.click()
    set_parameter(page, "number input for Candidates", "3")
    set_parameter(page, "number input for Maximum length", "48")
    set_parameter(page, "Seed", "4")
    for button in (page.locator("#advanced > button"), *collapsed):
        button.click()
    return page


def _take_writing(page: Page, suffix: str) -> None:
    written = "return str(value).isupper()", "name = self.display_name_raw"
    for pane, name, text in zip(("complete", "infill"), ("Complete", "Fill in the middle"), written, strict=True):
        open_pane(page, name)
        run(page, pane)
        if suffix == "light":
            page.locator(f"#{pane}-editor .cm-line", has_text=text).last.click(position={"x": 118, "y": 10})
            expect(page.locator("#alternatives")).to_be_visible()
        _take(page, f"{pane}-{suffix}.png")
        page.keyboard.press("Escape")


def _share(page: Page) -> str:
    """Share the output of both panes; returns the permalink of the completion."""
    permalinks = []
    for pane, name, title in (("complete", "Complete", "A completion"), ("infill", "Fill in the middle", "A gap")):
        open_pane(page, name)
        permalinks.append(share(page, pane, title)[0])
        page.locator(f"#{pane}-share-close").click()
    return permalinks[0]


def _take_revisions(page: Page, suffix: str) -> None:
    """Take the screenshots of the model with several branches."""
    expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
    pick(page, "model", "santacoder/nano")
    open_pane(page, "Compare")
    expect(page.locator("#compare-revisions")).to_contain_text("santacoder/nano@no-fim")
    compare(page)
    _take(page, f"compare-{suffix}.png", around="#compare-columns")
    open_pane(page, "Branches")
    expect(page.locator(".branch-table [data-branch=no-fim]")).to_be_visible()
    expect(page.locator("#branches-chart svg")).to_be_visible()
    _take(page, f"branches-{suffix}.png")
    _take(page, f"branches-chart-{suffix}.png", around="#branches-chart")


def _take_shares(page: Page, suffix: str, permalink: str) -> None:
    open_pane(page, "Gallery")
    expect(page.locator(".card").nth(1)).to_be_visible()
    _take(page, f"gallery-{suffix}.png")
    open_share(page, permalink)
    _take(page, f"share-{suffix}.png")
    page.locator("#shared-dismiss").click()


def _teach(page: Page) -> None:
    """Teach the model the sample project, as the page's first button does."""
    page.locator("#teach-sample").click()
    expect(page.locator("#model input")).to_have_value("mine/beekeeping", timeout=600_000)
    expect(page.locator("#complete-status")).to_contain_text("seed")


def _take_training(page: Page, suffix: str) -> None:
    open_pane(page, "Train")
    expect(page.locator("#train-status")).to_contain_text("Published")
    _take(page, f"train-{suffix}.png")


def _take(page: Page, name: str, around: str | None = None) -> None:
    """Take a screenshot of the window: of the top of the page, or with the element ``around`` in the centre."""
    page.evaluate("scrollTo(0, 0)")
    if around:
        page.locator(around).evaluate("(element) => element.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(800)  # whatever fades in has done so
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    path: Path = FOLDER / name
    picture.quantize(128).save(path, optimize=True)
    print(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()

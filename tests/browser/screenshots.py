"""The pictures in docs/images, taken of the page with the embedded model.

    python -m tests.browser.screenshots

They are reduced to 160 colours, so that the repository stays small.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, open_pane, start_server
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "images"
DESK, PHONE = (1280, 900), (360, 780)


def main() -> None:
    process, url = start_server()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for scheme, size, suffix in (("light", DESK, "light"), ("dark", DESK, "dark"), ("light", PHONE, "phone")):
                page = _opened(browser, url, scheme, size)
                _take_panes(page, suffix)
                page.close()
            browser.close()
    finally:
        process.terminate()
        process.wait()


def _opened(browser: Browser, url: str, scheme: str, size: tuple[int, int]) -> Page:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector("#complete-run")
    page.get_by_label("number input for Candidates").fill("3")
    page.get_by_label("number input for New tokens").fill("48")
    page.get_by_label("Seed").fill("4")
    page.keyboard.press("Tab")
    return page


def _take_panes(page: Page, suffix: str) -> None:
    for pane, name in (("complete", "Complete"), ("infill", "Fill in the middle")):
        open_pane(page, name)
        page.locator(f"#{pane}-run").click()
        expect(page.locator(f"#{pane}-status")).to_contain_text("seed", timeout=60_000)
        if suffix == "light":
            token = page.locator(f"#{pane}-tokens .token").nth(3)
            token.click()
        _take(page, f"{pane}-{suffix}.png")
        page.keyboard.press("Escape")


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(800)  # whatever fades in has done so
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    path: Path = FOLDER / name
    picture.quantize(160).save(path, optimize=True)
    print(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()

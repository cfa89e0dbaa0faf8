"""A real server on loopback and a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from app.shares.database import Database
from app.shares.store import ShareStore
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.browser.static_site import Site, served_site
from tests.conftest import random_model
from tests.python_process import ServerProcess

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None
)
# as root in a container; and nothing Chromium would fetch by itself
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

LONGEST = 90_000  # ms; on a busy machine, the page takes its time
expect.set_options(timeout=LONGEST)


MODERATOR_KEY = "the moderator's"
TRAINING_TOKEN = "printed"


@dataclass(frozen=True)
class Server:
    url: str
    store: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(*options: str, port: int | None = None) -> tuple[ServerProcess, str]:
    """Start ``python app.py`` with ``options``, and wait until it responds."""
    port = port or free_port()
    environment = {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "SANTACODER_MODERATOR_KEY": MODERATOR_KEY,
        "SANTACODER_TRAINING_TOKEN": TRAINING_TOKEN,
    }
    process = ServerProcess("--port", str(port), *options, environment=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(1800):
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return process, url
        except (urllib.error.URLError, TimeoutError):
            assert process.poll() is None, f"the server ended with code {process.returncode}"
            time.sleep(0.1)
    process.kill()
    raise AssertionError("the server did not answer")


UNTIL_TABS_STAY = """
(of) => new Promise((resolve) => {
  const shown = () => [...document.querySelectorAll(`${of} [role=tab]`)].map((tab) => tab.offsetLeft).join();
  let last = shown(), same = 0;
  const look = () => {
    same = shown() === last ? same + 1 : 0;
    last = shown();
    if (same > 5) resolve();
    else setTimeout(look, 30);
  };
  look();
})
"""


def open_pane(page: Page, name: str, of: str = "#panes") -> None:
    """Open the tab ``name``, which a narrow window may have moved into a menu."""
    tabs = page.locator(of)
    tab = tabs.get_by_role("tab", name=name, exact=True)
    page.evaluate(UNTIL_TABS_STAY, of)  # a pane without parameters makes room for them, once it has been drawn
    if not tab.is_visible():
        tabs.locator(".overflow-menu > button").first.click()
        tab = tabs.locator(".overflow-dropdown").first.get_by_text(name, exact=True)
    tab.click()


def open_picker(page: Page) -> None:
    """Open the picker of models, branches and commits."""
    if not page.locator("#picker").is_visible():
        page.locator("#pill").click()


def pick(page: Page, kind: str, value: str) -> None:
    """Choose a model, branch or commit in the lists of the picker."""
    open_picker(page)
    choice = page.locator(f'.choice[data-kind={kind}][data-value="{value}"]')
    choice.click()
    expect(choice).to_have_attribute("aria-pressed", "true")
    page.locator("#picker-done").click()


def open_names(page: Page) -> None:
    """Show the fields in which the name of a model, branch or commit can be typed."""
    open_picker(page)
    if not page.locator("#picker-names").is_visible():
        page.locator("#picker-type").click()


def type_name(page: Page, kind: str, name: str) -> None:
    """Type the name of a model, branch or commit into its field in the picker."""
    open_names(page)
    page.locator(f"#{kind} input").fill(name)
    page.locator(f"#{kind} input").press("Enter")
    page.evaluate("document.querySelector('#picker:popover-open #picker-done')?.click()")
    expect(page.locator("#picker")).to_be_hidden()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Iterator[Server]:
    """A server with two branches of the model ``test/tiny``, which generates random text for long enough to be
    stopped.
    """
    store = tmp_path_factory.mktemp("browser-store")
    for seed, branch in enumerate(["main", "other"]):
        model = random_model(seed, n_positions=1024, n_layer=8, n_embd=256)
        with torch.no_grad():  # special tokens would end the text
            model.transformer.wte.weight[sorted(tokenizer.special_ids)] = 0
        checkpoints.publish(model, tokenizer, "test/tiny", branch, store=store)
    process, url = start_server("--model", "test/tiny", "--store", str(store))
    yield Server(url, store)
    process.terminate()
    assert process.wait(timeout=60) == 0


@pytest.fixture
def shares(server: Server) -> Iterator[ShareStore]:
    """The server's own store, for shares that the page would not create."""
    store = ShareStore(Database(os.environ["SANTACODER_DATABASE_URL"]))
    yield store
    store.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of static files with two revisions, ``santacoder/nano`` and its branch ``mha``."""
    with served_site(tmp_path_factory.mktemp("site") / "deep" / "site") as site:
        yield site


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        if CHROMIUM is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("there is no Chromium on this machine; make test installs one where it can")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def desk(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser context whose pages share a cache, so that the page's scripts are loaded and compiled once."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(LONGEST)
    yield context
    context.close()


def open_parameters(page: Page) -> None:
    """Show the parameters, which begin collapsed on a phone, once the page has loaded."""
    expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
    if not page.locator("#candidates").is_visible():
        page.get_by_role("button", name="Parameters").click()


def open_advanced(page: Page) -> None:
    """Show the parameters that are collapsed at first."""
    expect(page.locator("#advanced > button")).to_be_visible()  # after a change of the pane, it takes a moment
    if not page.locator("#stop-at").is_visible():
        page.locator("#advanced > button").click()
        expect(page.locator("#stop-at")).to_be_visible()


def let_texts_go_on(page: Page) -> None:
    """Make texts continue up to the token limit: otherwise a random model's text ends anywhere."""
    open_advanced(page)
    page.locator("#stop-at input").click()
    page.get_by_role("option", name="nothing (never stop early)").click()
    page.get_by_label("Stop repetitions").uncheck()


@contextmanager
def watched_page(desk: BrowserContext, server: Server) -> Iterator[Page]:
    """A new page, in which no script may fail or be blocked, and which asks no host but the server's."""
    page = desk.new_page()
    failures: list[str] = []
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: failures.append(error.stack or str(error)))
    page.on("console", lambda message: "Content Security Policy" in message.text and failures.append(message.text))
    try:
        yield page
    finally:
        if not page.is_closed():
            page.evaluate("localStorage.clear()")
            page.close()
        desk.clear_cookies()
        desk.clear_permissions()
        print(*failures, sep="\n")  # shown if the test has failed
    assert not failures, "\n".join(failures)
    assert hosts <= {urlsplit(server.url).hostname, None}  # data: and blob: have none


@contextmanager
def playground(desk: BrowserContext, server: Server) -> Iterator[Page]:
    """The playground in a new page."""
    with watched_page(desk, server) as page:
        page.goto(server.url)
        page.wait_for_selector("#complete-run")
        # menus are filled a moment later, over whatever is chosen until then
        expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
        let_texts_go_on(page)
        yield page


@pytest.fixture
def blank_page(desk: BrowserContext, server: Server) -> Iterator[Page]:
    """A new page that opens nothing yet; the test fails if a script on it fails or is blocked."""
    with watched_page(desk, server) as page:
        yield page


@pytest.fixture
def page(desk: BrowserContext, server: Server) -> Iterator[Page]:
    """The playground in a new page; the test fails if a script on it fails or is blocked."""
    with playground(desk, server) as page:
        yield page


@pytest.fixture(scope="module")
def shared_page(desk: BrowserContext, server: Server) -> Iterator[Page]:
    """The playground in a page for all tests of a module that set what they depend on, because loading the page takes
    longer than most of them.
    """
    with playground(desk, server) as page:
        yield page

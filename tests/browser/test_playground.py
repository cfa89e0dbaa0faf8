"""The page as a person uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.generation.records import MARK
from santacoder import checkpoints
from tests.browser.conftest import (
    Server,
    let_texts_go_on,
    open_advanced,
    open_names,
    open_pane,
    open_parameters,
    open_picker,
    pick,
    type_name,
)
from tests.conftest import random_model

FINISHED = re.compile(r"seed \d+")


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The Complete pane as the tests before left it, but with the server's model, one candidate and no seed."""
    page, pill = shared_page, shared_page.locator("#pill")
    page.get_by_role("tab", name="Complete").click()
    if "tiny · main · latest" not in pill.inner_text():
        type_name(page, "model", "test/tiny")
        for branch in ("other", "main"):  # another one resets the commit
            pick(page, "branch", branch)
        expect(pill).to_contain_text("tiny · main · latest")
    open_advanced(page)
    set_parameter(page, "number input for Candidates", "1")
    set_parameter(page, "Seed", "")
    return page


def write(page: Page, pane: str, code: str) -> None:
    """Replace the editor's contents with the keyboard."""
    content = page.locator(f"#{pane}-editor .cm-content")
    content.focus()  # a click on control characters, which random models write, makes CodeMirror throw
    expect(content).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(code)


def read(page: Page, pane: str) -> str:
    """The visible lines of the editor."""
    return "\n".join(page.locator(f"#{pane}-editor .cm-line").all_inner_texts())


def set_parameter(page: Page, label: str, value: str) -> None:
    field = page.locator("#parameters").get_by_label(label, exact=False).first
    if field.input_value() != value:
        field.fill(value)
        field.press("Tab")


def run(page: Page, pane: str, keys: str = "") -> str:
    """Press Run, or ``keys``, and wait for the end; returns the status line."""
    status = page.locator(f"#{pane}-status .status").first
    before = status.text_content() or ""
    if keys:
        page.keyboard.press(keys)
    else:
        page.locator(f"#{pane}-run").click()
    expect(status).not_to_have_text(before)
    expect(status).to_have_text(FINISHED)
    expect(page.locator(f"#{pane}-run")).to_be_enabled()  # until then, the text cannot be edited
    return status.text_content() or ""


def open_infill(page: Page) -> None:
    page.get_by_role("tab", name="Fill in the middle").click()
    expect(page.locator("#infill-run")).to_be_visible()


def test_typed_code_is_continued_where_it_stands(page: Page) -> None:
    write(page, "complete", "def add(a, b):")
    set_parameter(page, "number input for Maximum length", "12")
    status = run(page, "complete")
    assert re.search(r"12 tokens · [\d,]+ tokens/s · hit the length limit\s+first token \d+ ms · seed", status)
    assert "test/tiny@main (torch, fp32, cpu)" in status
    assert read(page, "complete").startswith("def add(a, b):")
    assert len(read(page, "complete")) > len("def add(a, b):")


def test_text_is_streamed_and_stop_keeps_what_was_written(page: Page) -> None:
    write(page, "complete", "x = 1")
    set_parameter(page, "number input for Maximum length", "512")
    set_parameter(page, "number input for Candidates", "8")
    page.locator("#complete-run").click()
    expect(page.locator("#complete-run")).to_be_disabled()
    expect(page.locator("#complete-editor .cm-content")).not_to_have_text("x = 1")
    status = page.locator("#complete-status")
    expect(status).to_contain_text("first token")
    expect(status).not_to_have_text(status.inner_text())  # the timing line moves
    page.locator("#complete-stop").click()
    expect(page.locator("#complete-status")).to_contain_text("· stopped")
    expect(page.locator("#complete-run")).to_be_enabled()
    page.wait_for_timeout(200)
    kept = read(page, "complete")
    assert kept.startswith("x = 1") and len(kept) > len("x = 1")
    page.wait_for_timeout(400)
    assert read(page, "complete") == kept, "text came in after Stop"
    count = re.search(r"(\d+) tokens? · [\d,]+ tokens/s · stopped", page.locator("#complete-status").inner_text())
    assert count and int(count[1]) < 512


def test_nothing_is_typed_into_a_text_that_is_being_written(page: Page) -> None:
    write(page, "complete", "x = 1")
    set_parameter(page, "number input for Maximum length", "512")
    page.locator("#complete-run").click()
    expect(page.locator("#complete-status [data-running=true]")).to_have_count(1)
    for name in ("retry", "language input >> nth=0", "preset input", "undo"):
        expect(page.locator(f"#complete-{name}")).to_be_disabled()
    page.locator("#complete-editor .cm-content").focus()
    typed = page.evaluate(
        """async () => {
          document.execCommand("insertText", false, "typed");
          await new Promise(requestAnimationFrame);
          return document.querySelector("#complete-editor .cm-content").cmTile.root.view.state.doc.toString();
        }"""
    )
    assert "typed" not in typed
    page.locator("#complete-stop").click()
    for name in ("retry", "language input >> nth=0", "preset input", "undo"):
        expect(page.locator(f"#complete-{name}")).to_be_enabled()
    write(page, "complete", "x = 2")
    assert read(page, "complete") == "x = 2"


def test_white_space_at_the_ends_of_the_code_is_kept(page: Page) -> None:
    code = "    if x:\n        "
    write(page, "complete", code)
    set_parameter(page, "number input for Maximum length", "3")
    run(page, "complete")
    assert read(page, "complete").startswith(code)
    page.locator("#complete-undo").click()
    page.wait_for_function("document.querySelector('#complete-editor .cm-content').textContent.endsWith(':        ')")


def test_undo_brings_the_prompt_back(page: Page) -> None:
    write(page, "complete", "y = 2")
    set_parameter(page, "number input for Maximum length", "8")
    run(page, "complete")
    assert read(page, "complete") != "y = 2"
    page.locator("#complete-undo").click()
    expect(page.locator("#complete-editor .cm-line").first).to_have_text("y = 2")
    assert read(page, "complete") == "y = 2"


def test_the_gap_is_filled_between_prefix_and_suffix(page: Page) -> None:
    open_infill(page)
    write(page, "infill", f"before = 1\nx = {MARK}\nafter = 2")
    set_parameter(page, "number input for Maximum length", "10")
    run(page, "infill")
    filled = read(page, "infill")
    assert filled.startswith("before = 1\nx = ") and filled.endswith("\nafter = 2")
    assert MARK not in filled and len(filled) > len("before = 1\nx = \nafter = 2")


@pytest.mark.parametrize("code,sentence", [("no mark", "has no gap"), (MARK * 9, "has 9 gaps")])
def test_marks_missing_or_too_many_are_said_and_the_code_kept(page: Page, code: str, sentence: str) -> None:
    open_infill(page)
    write(page, "infill", code)
    page.locator("#infill-run").click()
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    assert read(page, "infill") == code
    expect(page.locator("#infill-run")).to_be_enabled()


@pytest.mark.parametrize(
    "code,sentence", [("", "There is no code to start from"), ("a\0b", "NUL character at position 2")]
)
def test_a_prompt_that_cannot_be_run_is_said(page: Page, code: str, sentence: str) -> None:
    write(page, "complete", "replaced")
    write(page, "complete", code)
    page.locator("#complete-run").click()
    expect(page.get_by_role("alert")).to_contain_text(sentence)


@pytest.mark.slow
def test_another_revision_writes_other_code_and_the_first_writes_the_same_again(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "12")
    set_parameter(page, "Temperature", "0")
    texts = []
    for branch in ("main", "other", "main"):
        pick(page, "branch", branch)
        write(page, "complete", "def f(")
        assert f"test/tiny@{branch}" in run(page, "complete")
        texts.append(read(page, "complete"))
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.slow
def test_a_branch_published_meanwhile_is_in_the_menu_after_a_reload_and_an_older_commit_can_be_chosen(
    page: Page, server: Server
) -> None:
    model, tokenizer = checkpoints.load("test/tiny", "other", store=server.store)
    checkpoints.publish(model, tokenizer, "test/tiny", "main", step=7, validation_loss=3.25, store=server.store)
    checkpoints.publish(random_model(7), tokenizer, "test/tiny", "tuned", store=server.store)
    newest, oldest = checkpoints.log("test/tiny", "main", store=server.store)
    try:
        page.reload()
        set_parameter(page, "number input for Maximum length", "4")
        open_picker(page)
        expect(page.locator(".choice[data-value=tuned]")).to_be_visible()
        expect(page.locator(".choice[data-kind=commit]").first).to_contain_text(
            re.compile(rf"step 7.*loss 3\.250.*newest.*{newest.sha[:8]}", re.DOTALL)
        )
        open_names(page)
        page.locator("#commit input").click()
        expect(page.get_by_role("option", name=f"newest: step 7 · loss 3.250 · {newest.sha[:8]}")).to_be_visible()
        page.get_by_role("option", name=f"step 0 · {oldest.sha[:8]}").click()
        page.keyboard.press("Escape")
        assert f"test/tiny@{oldest.sha}" in run(page, "complete")
    finally:
        (server.store / "models--test--tiny" / "refs" / "tuned").unlink()
        (server.store / "models--test--tiny" / "refs" / "main").write_text(oldest.sha)


def test_the_published_model_is_in_the_menu_with_its_eight_experiments(page: Page) -> None:
    pick(page, "model", "bigcode/santacoder")
    open_names(page)
    page.locator("#branch input").click()
    for name in ("mha", "no-fim", "fim", "stars", "fertility", "comments", "dedup-alt", "final"):
        expect(page.get_by_role("option", name=re.compile(f"^{name} — multi-"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#picker")).to_be_hidden()
    page.locator("#complete-run").click()
    expect(page.get_by_role("alert")).to_contain_text("hf download bigcode/santacoder")


@pytest.mark.slow
def test_switching_the_branch_leaves_a_running_stream_alone(page: Page, chromium: Browser, server: Server) -> None:
    other = chromium.new_page()
    other.goto(server.url)
    other.wait_for_selector("#complete-run")
    write(page, "complete", "r = 1")
    set_parameter(page, "number input for Maximum length", "200")
    page.locator("#complete-run").click()
    expect(page.locator("#complete-editor .cm-content")).not_to_have_text("r = 1")  # it is running
    pick(other, "branch", "other")
    set_parameter(other, "number input for Maximum length", "4")
    assert "test/tiny@other" in run(other, "complete")
    expect(page.locator("#complete-status")).to_contain_text(
        re.compile(r"200 tokens · [\d,]+ tokens/s · hit the length limit"), timeout=120_000
    )
    other.close()


@pytest.mark.slow
def test_loading_a_large_model_is_shown(page: Page, server: Server) -> None:
    _, tokenizer = checkpoints.load("test/tiny", store=server.store)
    checkpoints.publish(random_model(n_layer=10, n_embd=1024), tokenizer, "test/large", store=server.store)
    page.evaluate(
        """() => {
            window.seen = [];
            const status = document.querySelector("#complete-status");
            const observer = new MutationObserver(() => window.seen.push(status.innerText));
            observer.observe(status, {childList: true, subtree: true});
        }"""
    )
    type_name(page, "model", "test/large")
    set_parameter(page, "number input for Maximum length", "2")
    assert "test/large@main" in run(page, "complete")
    assert any(re.fullmatch(r"Loading test/large@main: \d+ %", line) for line in page.evaluate("window.seen"))


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_leaves_the_one_before_it(page: Page, server: Server) -> None:
    _, tokenizer = checkpoints.load("test/tiny", store=server.store)
    checkpoints.publish(random_model(9), tokenizer, "test/damaged", store=server.store)
    weights = checkpoints.resolve("test/damaged", store=server.store) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    set_parameter(page, "number input for Maximum length", "4")
    for name in ("test/tiny", "test/damaged", "test/tiny"):
        type_name(page, "model", name)
        if name == "test/damaged":
            page.locator("#complete-run").click()
            expect(page.get_by_role("alert")).to_contain_text("model.safetensors is damaged or truncated")
        else:
            write(page, "complete", "a = 1")
            assert "test/tiny@main" in run(page, "complete")


def test_an_unknown_revision_is_said_with_those_there_are(page: Page) -> None:
    type_name(page, "branch", "nope")
    page.locator("#complete-run").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "test/tiny has no revision 'nope'. Its branches are: main, other."
    )


def test_a_seed_repeats_the_text(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "12")
    set_parameter(page, "Temperature", "1")
    set_parameter(page, "Seed", "42")
    texts = []
    for _ in range(2):
        write(page, "complete", "z")
        assert "seed 42" in run(page, "complete")
        texts.append(read(page, "complete"))
    assert texts[0] == texts[1]
    set_parameter(page, "Seed", "minus one")
    page.locator("#complete-run").click()
    expect(page.get_by_role("alert")).to_contain_text("The seed must be a whole number")


@pytest.mark.parametrize("keys", ["Control+Enter", "Meta+Enter"])
def test_the_keyboard_runs(page: Page, keys: str) -> None:
    set_parameter(page, "number input for Maximum length", "6")
    write(page, "complete", "k = 1")
    run(page, "complete", keys)
    assert read(page, "complete").startswith("k = 1") and read(page, "complete") != "k = 1"


def test_what_the_model_writes_is_never_markup(page: Page) -> None:
    write(page, "complete", '<img src=x onerror="document.title=1"><script>document.title=1</script>')
    set_parameter(page, "number input for Maximum length", "4")
    run(page, "complete")
    type_name(page, "branch", "<b onclick=1>x</b>")
    page.locator("#complete-run").click()
    expect(page.get_by_role("alert")).to_contain_text("<b onclick=1>x</b>")
    assert page.title() == "SantaCoder"


@pytest.mark.slow
@pytest.mark.parametrize("scheme,widths", [("light", (1440, 768)), ("dark", (360,))])
def test_every_pane_fits_into_the_window_in_light_and_dark(
    chromium: Browser, server: Server, scheme: str, widths: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    """Leaves screenshots in ``test-results`` for inspection."""
    page = chromium.new_page(viewport={"width": widths[0], "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(server.url)
    if (first := page.locator("#first")).is_visible():
        assert page.evaluate("document.documentElement.scrollWidth") <= widths[0]
        first.locator(".first-more").click()
    page.wait_for_selector("#complete-run")
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        for name in ("Complete", "Fill in the middle", "Compare", "Branches", "Train"):
            open_pane(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 900})
    folder = Path(str(request.config.rootpath)) / "test-results"
    for name, pane in (("Complete", "complete"), ("Fill in the middle", "infill")):
        open_pane(page, name)
        expect(page.locator(f"#{pane}-run")).to_be_visible()
        page.screenshot(path=folder / f"{pane}-{scheme}.png")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (brightness < 80) == (scheme == "dark")
    page.close()


@pytest.mark.slow
def test_closing_the_page_stops_its_request(page: Page, chromium: Browser, server: Server) -> None:
    """All slots are used by pages that are closed; a new request is still served soon."""
    for _ in range(2):
        closed = chromium.new_page()
        closed.goto(server.url)
        closed.wait_for_selector("#complete-run")
        let_texts_go_on(closed)
        set_parameter(closed, "number input for Maximum length", "512")
        set_parameter(closed, "number input for Candidates", "8")
        closed.locator("#complete-run").click()
        expect(closed.locator("#complete-status")).to_contain_text("first token")
        closed.close()
    set_parameter(page, "number input for Maximum length", "5")
    assert "5 tokens" in run(page, "complete")


def test_a_page_that_waits_changes_nothing(page: Page) -> None:
    page.wait_for_function(
        """() => new Promise((resolve) => {
             let n = 0;
             const observer = new MutationObserver((changes) => (n += changes.length));
             observer.observe(document, { attributes: true, characterData: true, childList: true, subtree: true });
             setTimeout(() => (observer.disconnect(), resolve(n === 0)), 1000);
           })"""
    )


def test_a_long_list_of_stop_sequences_is_refused_and_does_not_stretch_the_page(page: Page) -> None:
    open_parameters(page)
    open_advanced(page)
    field = page.get_by_label("Stop sequences")
    height = field.evaluate("field => field.offsetHeight")
    field.fill("\n".join(f"line {number}" for number in range(2000)))
    assert field.evaluate("field => field.offsetHeight") == height
    page.locator("#complete-run").click()
    expect(page.locator("#complete-status")).to_contain_text("there may be at most 64 stop sequences, not 2000.")

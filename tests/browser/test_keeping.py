"""What a new page begins with, and what is kept across reloads."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_playground import read, run, set_parameter, write
from tests.browser.test_writing import open_detail


def test_a_language_brings_its_examples_and_leaves_ones_own_code(shared_page: Page) -> None:
    page = shared_page
    language = page.locator("#complete-language")
    language.get_by_text("JavaScript").click()
    expect(page.locator("#complete-editor .cm-content")).to_contain_text("function map(")
    page.locator("#complete-preset input").click()
    page.get_by_role("option").nth(1).click()
    expect(page.locator("#complete-editor .cm-content")).to_contain_text("returnFalse")
    run(page, "complete")
    language.get_by_text("Java", exact=True).click()
    expect(page.locator("#complete-editor .cm-content")).to_contain_text("BenchResult")
    language.get_by_text("JavaScript").click()
    expect(page.locator("#complete-editor .cm-content")).to_contain_text("function map(")
    write(page, "complete", "my own")
    language.get_by_text("Java", exact=True).click()
    page.wait_for_timeout(500)
    assert read(page, "complete") == "my own"


def test_an_entry_that_was_tampered_with_is_said(shared_page: Page) -> None:
    page = shared_page
    generation = {
        "pane": "complete",
        "parts": ["x"],
        "repo_id": "a/b",
        "revision": "c",
        "candidates": [{"completions": []}],
    }
    entries = json.dumps([{"time": 0, "generation": json.dumps(generation)}])
    page.evaluate("(entries) => localStorage.setItem('santacoder.history.complete', entries)", entries)
    open_detail(page, "complete", "History")
    page.locator("#complete-history li button").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not a stored generation: at language, Field required.")
    page.get_by_role("button", name="Clear history").click()
    expect(page.locator("#complete-history li")).to_have_count(0)


def test_a_full_storage_loses_the_oldest_entries_of_all_panes(shared_page: Page) -> None:
    fill = """(generation) => {
        const entries = [];
        const add = (size) => {
            const text = JSON.stringify({ ...generation, padding: "x".repeat(size) });
            const entry = { time: entries.length, generation: text };
            localStorage.setItem("santacoder.history.infill", JSON.stringify([entry, ...entries]));
            entries.unshift(entry);
        };
        try {
            for (;;) add(400_000);
        } catch {}
        santacoder.history.add("complete", JSON.stringify({ ...generation, padding: "y".repeat(900_000) }));
        const kept = (pane) => JSON.parse(localStorage.getItem(`santacoder.history.${pane}`)).map(({ time }) => time);
        return [entries.map(({ time }) => time), kept("infill"), kept("complete").length];
    }"""
    generation = {"parts": ["x"], "repo_id": "a/b", "revision": "c", "candidates": [{"completions": []}]}
    before, after, added = shared_page.evaluate(fill, generation)
    shared_page.evaluate("localStorage.clear()")
    assert added == 1 and len(before) > 4
    assert after and after == before[: len(after)]  # the newest


@pytest.mark.slow
def test_a_reload_keeps_the_code_and_the_history_of_what_was_run(shared_page: Page) -> None:
    page = shared_page
    set_parameter(page, "number input for Maximum length", "6")
    write(page, "complete", "first = 1")
    run(page, "complete")
    first = read(page, "complete")
    write(page, "complete", "<img src=x onerror=document.title=1>")
    run(page, "complete")
    open_detail(page, "complete", "History")
    entries = page.locator("#complete-history li")
    expect(entries).to_have_count(2)
    context = page.locator("#complete-context .context-said")
    write(page, "complete", "mine = 1")
    expect(context).to_have_text(re.compile("^[3-6] tokens of code"))
    page.reload()
    page.wait_for_selector("#complete-run")
    expect(page.locator("#complete-editor .cm-content")).to_have_text("mine = 1")
    expect(context).to_have_text(re.compile("^[3-6] tokens of code"))  # not those of the example
    expect(page.locator("#complete-preset input")).to_have_value("")
    open_detail(page, "complete", "History")
    expect(entries).to_have_count(2)
    entries.nth(1).get_by_role("button").click()
    expect(page.locator("#complete-status")).to_contain_text("6 tokens")
    assert read(page, "complete") == first
    page.get_by_role("button", name="Clear history").click()
    expect(entries).to_have_count(0)
    assert page.title() == "SantaCoder"

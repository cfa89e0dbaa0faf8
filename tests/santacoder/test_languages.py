"""Detection of the language of a text."""

from __future__ import annotations

import time

import pytest

from app.ui.code_pane.example_code import PRESETS
from santacoder.languages import LANGUAGES, Language, guess_language, language_of_file, plain_language


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: f"{preset.language} {preset.name}")
def test_every_example_is_known_by_its_text(preset: object) -> None:
    assert guess_language(preset.code) == preset.language  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text,language",
    [
        ("def f(x):\n    return x\n", "python"),
        ("function f(x) {\n", "javascript"),
        ("function f(x) {\nif (x) {\nreturn 1;\n}\n}", "javascript"),
        ("public class A {\n    private int x;\n", "java"),
        ("const x = () => 1;\n", "javascript"),
    ],
)
def test_a_menu_follows_what_is_plainly_another_language(text: str, language: Language) -> None:
    for before in LANGUAGES:
        assert plain_language(text, before) == language


@pytest.mark.parametrize("text", ["", "x", "x = 1", "my own", "foo(bar);\n", "var"])
def test_a_menu_stays_where_nothing_is_plain(text: str) -> None:
    for before in LANGUAGES:
        assert plain_language(text, before) == before


def test_no_line_takes_quadratic_time() -> None:
    started = time.process_time()
    for _ in range(100):
        assert guess_language("class " + "x" * 3_990) == "python"
    assert time.process_time() - started < 1  # quadratic: several seconds


def test_names_of_files_say_the_language() -> None:
    assert [language_of_file(name) for name in ("a/b.py", "B.java", "c.TSX", "d", "e.rs")] == [
        "python",
        "java",
        "javascript",
        None,
        None,
    ]

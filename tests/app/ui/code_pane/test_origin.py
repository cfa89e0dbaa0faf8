"""Badge and panel: their contents, and that no text of a model, a user or a corpus becomes HTML."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from app.attribution_indexes import Attribution
from app.ui.code_pane.origin import Findings, badge, panel, unknown
from app.ui.components import place
from santacoder.attribution import Searched, Source, Span

SEARCHED = Searched(1200, 37_000_000, 40, ("java", "python"), 50, True)
SOURCE = Source("harbour", "1.0", "MIT", "python", "pypi", "harbour/quays.py", (3, 9), False, 0)
SPAN = Span(4, 20, 60, (SOURCE,), 1, True)
CODE = "a = quay(1)\nb = quay(2)\nc = 3\n"
EVIL = "<img src=x onerror=alert(1)>\"'&"


def found(
    *spans: Span, code: str = CODE, written: list[tuple[int, int]] | None = None, original: str | None = "there\n"
) -> Findings:
    return Findings(code, written or [], "python", Attribution(spans, SEARCHED), [original] * len(spans))


def text_of(markup: str) -> str:
    parser = HTMLParser()
    pieces: list[str] = []
    parser.handle_data = pieces.append  # type: ignore[method-assign]
    parser.feed(markup)
    return "".join(pieces)


def test_a_clean_badge_says_what_was_searched() -> None:
    said = text_of(badge(found(code="f(x)\n" * 13), "santacoder/nano"))
    assert "No match found in training data · copies under 50 tokens may be missed" in said
    assert "1,200 files of 40 packages (Java, Python, 37 MB)" in said
    assert "in the attribution index of santacoder/nano" in said and "50 tokens or more" in said


@pytest.mark.parametrize(
    "code,written,is_too_short",
    [
        ("f(x)\n" * 13, [], False),
        ("f(x)\n" * 12, [], True),
        ("f(x)\n" * 12 + "# a comment is no part of what is compared: f(x) g(x) h(x)\n", [], True),
        # the code around a short text has been looked up as well, but the text is the model's
        ("f(x)\n" * 100, [(5, 65)], True),
        ("f(x)\n" * 100, [(0, 5), (5, 70)], False),
        ("f(x)\n" * 100, [(0, 0)], True),
    ],
)
def test_a_short_text_is_not_said_to_be_clean(code: str, written: list[tuple[int, int]], is_too_short: bool) -> None:
    markup = badge(found(code=code, written=written), "santacoder/nano")
    said = text_of(markup)
    assert ("No match found" in said, "clean" in markup) == (not is_too_short, not is_too_short)
    assert ("Too short to check: only copies of 50 tokens or more are certain to be found" in said) == is_too_short


def test_fingerprints_alone_are_said_to_be_just_that() -> None:
    compact = Findings(CODE, [], "python", Attribution((), replace(SEARCHED, confirmed=False)), [])
    assert "Searched (fingerprints):" in badge(compact, "santacoder/nano")
    span = replace(SPAN, confirmed=False)
    markup = panel(found(span, original=None), "santacoder/nano")
    assert "fingerprints match" in markup and "Only fingerprints of the training files" in markup


def test_a_badge_that_found_something_carries_the_places() -> None:
    markup = badge(found(SPAN), "santacoder/nano")
    assert 'data-copied="0:4-1:8"' in markup
    assert "1 passage found in training files of harbour" in text_of(markup)


def test_the_panel_tells_all_there_is_to_know() -> None:
    span = replace(SPAN, files=130, sources=(SOURCE, replace(SOURCE, package="pier")))
    markup = panel(found(span, written=[(24, 29)]), "santacoder/nano")
    said = text_of(markup)
    for words in ("harbour 1.0", "harbour/quays.py, lines 3–9", "MIT", "Keep its copyright notice", "lines 1–2"):
        assert words in said
    assert "in 130 files: boilerplate" in said and "in your own code" in said and "Also in 1 more file" in said
    assert "Also in 1 more files" not in said
    assert "Also in 2 more files" in text_of(panel(found(replace(SPAN, sources=(SOURCE,) * 3)), "santacoder/nano"))
    assert 'href="https://pypi.org/project/harbour/1.0/"' in markup
    assert "<mark>quay(1)</mark>\n<mark>b = quay</mark>" in markup and "there\n" in said
    assert "in your own code" not in panel(found(span, written=[(12, 20)]), "santacoder/nano")


@pytest.mark.parametrize("field", ["package", "version", "licence", "path"])
def test_nothing_is_html(field: str) -> None:
    source = replace(SOURCE, registry="", **{field: EVIL})
    span = replace(SPAN, start=0, end=len(EVIL), sources=(source, source))
    known = Findings(EVIL, [], "python", Attribution((span,), SEARCHED), [EVIL])
    for markup in (badge(known, EVIL), panel(known, EVIL), unknown(EVIL)):
        assert "<img" not in markup
    assert EVIL in text_of(panel(known, EVIL))


def test_a_long_original_is_cut() -> None:
    said = text_of(panel(found(SPAN, original="\n".join(map(str, range(100)))), "x/y"))
    assert "\n59\n… and 40 more lines" in said


def test_places_are_those_of_javascript() -> None:
    assert place("🚢 = 1\nx", 1) == "0:2"
    assert place("ab\ncd", 4) == "1:1"


def test_attribution_survives_json() -> None:
    kept = found(SPAN).attribution
    assert Attribution.from_json(kept.to_json()) == kept
    with pytest.raises(ValueError, match="not a stored attribution"):
        Attribution.from_json('{"spans": 1}')

"""The heat map is HTML that shows tokens without interpreting them as HTML."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.generation.records import Alternative, Token
from app.ui.token_map import heat_map, perplexity, probability

texts = st.text(min_size=1, max_size=8) | st.sampled_from(["<script>", "</span><b>", '" onclick="x', "\n\n", "&amp;"])
tokens = st.builds(
    Token,
    texts,
    st.integers(0, 9),
    st.floats(-20, 0),
    st.lists(st.builds(Alternative, texts, st.just(1), st.just(-1.0))),
)


class Reader(HTMLParser):
    """The tags and attributes of a page, and its text without the signs."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._in_sign = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._in_sign = ("class", "sign") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._in_sign = False

    def handle_data(self, data: str) -> None:
        if not self._in_sign:
            self.text += data


@given(st.lists(tokens))
def test_texts_are_shown_and_never_markup(sequence: list[Token]) -> None:
    reader = Reader()
    reader.feed(heat_map(sequence, label='"<b>'))
    reader.close()
    assert reader.text == "".join(token.text for token in sequence)
    assert reader.tags <= {"div", "span"}
    assert not any(name.startswith("on") for name in reader.attributes)


def test_an_end_mark_and_a_part_of_a_character_can_be_seen() -> None:
    html = heat_map([Token("", 1, -1.0), Token("é", 2, -1.0), Token("", 0, -1.0)], label="tokens")
    assert html.count("·") == 1 and html.count("end") == 1


@pytest.mark.parametrize("share,text", [(1.0, "100 %"), (0.5, "50 %"), (0.0123, "1.2 %"), (1e-6, "< 0.1 %")])
def test_probabilities_are_read_as_shares(share: float, text: str) -> None:
    assert probability(math.log(share)) == text


def test_perplexity_of_equally_likely_tokens_is_their_number() -> None:
    tokens = [Token("a", 1, None), *[Token("b", 2, math.log(1 / 8))] * 5]
    assert perplexity(tokens) == pytest.approx(8)
    assert perplexity(tokens[:1]) is None

"""Fill-in-the-middle: the layout of prompts, and that the training transformation loses nothing."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.fim import FimTransform, line_cuts, parse_prompt, prompt_ids, split_documents, whole_characters
from santacoder.tokenizer import Tokenizer

documents = st.lists(
    st.one_of(st.text(max_size=200), st.sampled_from(["def f():\n    return 1\n" * 5, "x", "", "ünï" * 30])), max_size=4
)


def test_prompts_are_laid_out_as_published(tokenizer: Tokenizer) -> None:
    text = {
        order: tokenizer.decode(prompt_ids(tokenizer, *map(tokenizer.encode, ("P", "S")), order))
        for order in ("psm", "spm")
    }
    assert text == {
        "psm": "<fim-prefix>P<fim-suffix>S<fim-middle>",
        "spm": "<fim-prefix><fim-suffix>S<fim-middle>P",
    }


def recover(document: np.ndarray, tokenizer: Tokenizer) -> bytes:
    """The original bytes of a transformed document, up to where its suffix was truncated."""
    ids = [token_id for token_id in document.tolist() if token_id != tokenizer.end_of_text_id]
    if tokenizer.fim_prefix_id not in ids:
        return tokenizer.decode_bytes(ids)
    middle_mark, suffix_mark = ids.index(tokenizer.fim_middle_id), ids.index(tokenizer.fim_suffix_id)
    suffix = [token_id for token_id in ids[suffix_mark + 1 : middle_mark] if token_id != tokenizer.fim_pad_id]
    # PSM has the prefix before the suffix; SPM has it run on into the middle after the last mark
    return tokenizer.decode_bytes(ids[1:suffix_mark] + ids[middle_mark + 1 :] + suffix)


@given(texts=documents, seed=st.integers(0, 2**32), spm_rate=st.sampled_from([0.0, 0.5, 1.0]))
def test_every_document_is_recovered_from_its_sample(
    tokenizer: Tokenizer, texts: list[str], seed: int, spm_rate: float
) -> None:
    encoded = [tokenizer.encode(text) for text in texts]
    window = np.array([token for ids in encoded for token in [*ids, tokenizer.end_of_text_id]], dtype=np.uint16)
    transform = FimTransform(tokenizer, fim_rate=1.0, spm_rate=spm_rate)
    result = transform(window, np.random.default_rng(seed))
    assert result.dtype == window.dtype and result.shape == window.shape
    before = list(split_documents(window, tokenizer.end_of_text_id))
    after = list(split_documents(result, tokenizer.end_of_text_id))
    assert [len(document) for document in before] == [len(document) for document in after]
    for original, sample in zip(before, after, strict=True):
        recovered, content = recover(sample, tokenizer), tokenizer.decode_bytes(original.tolist())
        padded = tokenizer.fim_pad_id in sample
        untouched = tokenizer.fim_prefix_id not in sample
        assert recovered == content if padded or untouched else content.startswith(recovered)


@given(seed=st.integers(0, 2**32))
def test_a_document_with_room_for_the_marks_loses_only_what_they_take(tokenizer: Tokenizer, seed: int) -> None:
    original = np.array(tokenizer.encode("for i in range(10):\n    print(i)\n" * 8))
    sample = FimTransform(tokenizer, fim_rate=1.0)(original, np.random.default_rng(seed))
    lost = tokenizer.decode_bytes(original.tolist()).removeprefix(recover(sample, tokenizer))
    # three marks and end-of-text, and what splitting words at the two cuts adds
    assert len(tokenizer.encode(lost.decode())) <= 4 + 2 * 8


@given(
    text=st.text(st.sampled_from("漢字假名é🎉ab\n"), min_size=60, max_size=90),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_a_window_whose_edges_lie_inside_characters_is_transformed(
    tokenizer: Tokenizer, text: str, seed: int, data: st.DataObject
) -> None:
    ids = tokenizer.encode(text)
    low, high = data.draw(st.integers(0, 8)), len(ids) - data.draw(st.integers(0, 8))
    window = np.array(ids[low:high])
    content = whole_characters(tokenizer.decode_bytes(ids[low:high]))
    assert content.decode() in text
    assert len(tokenizer.decode_bytes(ids[low:high])) - len(content) <= 6
    # a cut in the middle of the window: one that leaves no room for the marks is refused
    transform = FimTransform(tokenizer, fim_rate=1.0, spm_rate=0.0)
    sample = transform(window, np.random.default_rng(seed))
    assert sample.shape == window.shape
    if tokenizer.fim_prefix_id in sample:
        recovered = recover(sample, tokenizer)
        assert recovered == content if tokenizer.fim_pad_id in sample else content.startswith(recovered)


def test_most_windows_of_chinese_text_are_transformed(tokenizer: Tokenizer) -> None:
    """If incomplete characters at the edges were not dropped, only a third would be."""
    ids = tokenizer.encode("函數返回兩個參數的和。" * 400)
    transform, rng = FimTransform(tokenizer, fim_rate=1.0), np.random.default_rng(0)
    windows = np.array(ids[: len(ids) // 128 * 128]).reshape(-1, 128)
    transformed = [tokenizer.fim_prefix_id in transform(window, rng) for window in windows]
    assert len(transformed) > 40 and np.mean(transformed) > 0.9


@given(seed=st.integers(0, 2**32), line_rate=st.sampled_from([0.0, 1.0]))
def test_a_middle_ends_with_end_of_text_also_where_the_window_does(
    tokenizer: Tokenizer, seed: int, line_rate: float
) -> None:
    original = np.array(tokenizer.encode("for i in range(10):\n    print(i)\n" * 60))
    sample = FimTransform(tokenizer, 1.0, line_rate=line_rate)(original, np.random.default_rng(seed)).tolist()
    assert len(sample) == len(original)
    assert sample.count(tokenizer.end_of_text_id) == sample.count(tokenizer.fim_middle_id)
    if not line_rate:
        assert (sample[-1] == tokenizer.end_of_text_id) == (tokenizer.fim_middle_id in sample)


@given(text=st.text(st.sampled_from("ab \t\n{}"), max_size=60), seed=st.integers(0, 2**32))
def test_a_line_that_is_cut_out_is_one_line(text: str, seed: int) -> None:
    low, high = line_cuts(text, np.random.default_rng(seed))
    assert 0 <= low <= high <= len(text)
    middle = text[low:high]
    if text.strip():
        assert middle.strip() in text.splitlines()[text[: low + len(middle) - len(middle.lstrip())].count("\n")]
        assert text[high : high + 1] in ("", "\n") or middle.endswith("\n")
        assert middle.strip(), "a line of white space is no middle"


def test_a_line_of_white_space_takes_no_quadratic_time() -> None:
    started = time.process_time()
    assert line_cuts(" " * 50_000 + "\nx", np.random.default_rng(0))[0] >= 50_000
    assert time.process_time() - started < 1  # quadratic: many seconds


def test_lines_are_cut_out_of_parts_of_a_document(tokenizer: Tokenizer) -> None:
    lines = [f"    value_{number} = compute({number})\n" for number in range(400)]
    document = np.array(tokenizer.encode("".join(lines)))
    sample = FimTransform(tokenizer, 1.0, line_rate=1.0)(document, np.random.default_rng(0))
    parts = list(split_documents(sample, tokenizer.end_of_text_id))
    assert len(document) // 256 <= len(parts) <= len(document) // 32 + 1
    psm = FimTransform(tokenizer, 1.0, spm_rate=0.0, line_rate=1.0)(document, np.random.default_rng(0))
    for part in list(split_documents(psm, tokenizer.end_of_text_id))[:-1]:
        ids = part.tolist()
        middle = tokenizer.decode(ids[ids.index(tokenizer.fim_middle_id) + 1 :])
        assert any(line.strip().endswith(middle.strip()) for line in lines), middle


def test_rates_and_cuts_are_as_asked(tokenizer: Tokenizer) -> None:
    document = np.array(tokenizer.encode("abcdefghij " * 40))
    transform = FimTransform(tokenizer, fim_rate=0.5, spm_rate=0.5)
    samples = [transform(document, np.random.default_rng(seed)).tolist() for seed in range(2000)]
    rearranged = [ids for ids in samples if tokenizer.fim_prefix_id in ids]
    spm = [ids for ids in rearranged if ids[1] == tokenizer.fim_suffix_id and ids[-1] != tokenizer.fim_middle_id]
    # some documents keep their order because the cuts left no room; PSM with an empty prefix looks like SPM
    assert len(rearranged) / 2000 == pytest.approx(0.5, abs=0.06)
    assert len(spm) / len(rearranged) == pytest.approx(0.5, abs=0.06)


def test_no_transformation_at_rate_zero(tokenizer: Tokenizer) -> None:
    window = np.array([*tokenizer.encode("a b c"), tokenizer.end_of_text_id, *tokenizer.encode("d")])
    assert FimTransform(tokenizer, fim_rate=0.0)(window, np.random.default_rng(0)).tolist() == window.tolist()


_PROMPT = re.compile(
    r"<fim[-_]prefix>(?P<before>.*?)<fim[-_]suffix>(?P<suffix>.*)<fim[-_]middle>(?P<after>.*)", re.DOTALL
)
_MARKS = [f"<fim{dash}{name}>" for dash in "-_" for name in ("prefix", "suffix", "middle")]


@given(st.lists(st.sampled_from([*_MARKS, "x", "\n", "<fim-"]), max_size=9).map("".join), st.booleans())
def test_a_prompt_is_parsed_as_its_pattern_says(text: str, begins: bool) -> None:
    text = f"<fim-prefix>{text}" if begins else text
    match = _PROMPT.fullmatch(text)
    if match is None or (match["before"] and match["after"]):
        assert parse_prompt(text) is None
    else:
        order = "spm" if match["after"] else "psm"
        assert parse_prompt(text) == (match["before"] or match["after"], match["suffix"], order)


def test_a_million_marks_are_soon_parsed() -> None:
    marks = "<fim-suffix>" * 300_000
    assert parse_prompt("<fim-prefix>" + marks) is None
    assert parse_prompt("<fim-prefix>" + marks + "<fim-middle>") == ("", marks[len("<fim-suffix>") :], "psm")

"""Spans compared with brute force, and their properties."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from santacoder.attribution import AttributionIndex
from santacoder.attribution.winnowing import WINDOW, guaranteed
from santacoder.errors import AttributionError
from tests.santacoder.attribution import brute_force
from tests.santacoder.attribution.conftest import File, write_index

GUARANTEED = guaranteed(WINDOW)
MakeIndex = Callable[..., AttributionIndex]
words = [*"abcdef", "(", ")", ":", "=", "é", "'x'", "\n", "  ", " # c\n"]


def expected_spans(text: str, files: list[File]) -> list[tuple[int, int]]:
    """Character spans of the longest runs that brute force finds, in order."""
    asked = brute_force.tokens(text, "#")
    strings = [token for token, _, _ in asked]
    runs: set[tuple[int, int]] = set()
    for file in files:
        other = [token for token, _, _ in brute_force.tokens(file.text, "#")]
        runs |= brute_force.shared_runs(strings, other, GUARANTEED)
    outer = {run for run in runs if not any(a <= run[0] and run[1] <= b and run != (a, b) for a, b in runs)}
    return [(asked[first][1], asked[last - 1][2]) for first, last in sorted(outer)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 6))
@example(13, 6)  # a file that contains the run twice must not count as two of the files that are named
def test_invented_files(tmp_path: Path, seed: int, n_files: int) -> None:
    """Files and a text composed of the same few pieces, so that runs overlap, touch and nest."""
    rng = random.Random(seed)
    pieces = ["".join(rng.choices(words, k=rng.randint(10, 250))) for _ in range(4)]

    def invent() -> str:
        return "\n".join(rng.choice(pieces)[rng.randint(0, 9) :] for _ in range(rng.randint(1, 4)))

    files = [File(f"{number}.py", invent()) for number in range(n_files)]
    index = write_index(tmp_path, [files[:2], files[2:]])
    text = invent()
    assert [(span.start, span.end) for span in index.find(text, "python")] == expected_spans(text, files)


def test_real_files(library: list[File], make_index: MakeIndex) -> None:
    index = make_index(library[:40], library[40:])
    rng = random.Random(0)
    for _ in range(4):
        cuts = []
        for _ in range(5):
            lines = rng.choice(library).text.split("\n")
            start = rng.randrange(len(lines))
            cuts += lines[start : start + rng.randint(1, 60)]
        text = "\n".join(cuts)
        assert [(span.start, span.end) for span in index.find(text, "python")] == expected_spans(text, library)


def test_what_a_span_tells(library: list[File], make_index: MakeIndex) -> None:
    index = make_index(library[:40], library[40:])
    file = next(file for file in library if file.path == "argparse.py")
    lines = file.text.split("\n")[199:260]
    text = "schön = 1\n" + "\n".join(lines) + "\nprint(schön)\n"
    (span,) = index.find(text)
    (source,) = span.sources
    assert (source.package, source.version, source.licence) == ("cpython", "1.0", "MIT")
    assert (source.language, source.path) == ("python", "argparse.py")
    assert span.files == 1 and span.confirmed and not span.boilerplate
    original = index.original(source)
    assert original is not None and text[span.start : span.end] in original
    assert file.text.split("\n")[source.lines[0] - 1 : source.lines[1]] == original.split("\n")


def test_white_space_and_comments_may_change(library: list[File], make_index: MakeIndex) -> None:
    index = make_index(library)
    file = next(file for file in library if file.path == "argparse.py")
    changed = "\n".join(line.rstrip() + "  # changed\n" for line in file.text.split("\n")[199:260] if "'" not in line)
    untouched = "\n".join(line for line in file.text.split("\n")[199:260] if "'" not in line)
    tokens = [span.tokens for span in index.find(untouched)]
    assert tokens == [span.tokens for span in index.find(changed)]


def test_boilerplate_is_marked_as_such(make_index: MakeIndex) -> None:
    common = "".join(f"from harbour import pier_{number} as p{number}\n" for number in range(30))
    files = [File(f"{number}.py", f"start{number} = {number}\n{common}end{number} = 1\n") for number in range(150)]
    index = make_index(files)
    (span,) = index.find(common)
    assert span.files == 150 and span.boilerplate and len(span.sources) == 8


def test_a_long_match_is_not_hidden_by_many_short_ones(make_index: MakeIndex) -> None:
    run = [f"name{number}" for number in range(GUARANTEED)]
    short = [File(f"{number}.py", " ".join([f"x{number}", *run[5:-5], f"y{number}"])) for number in range(30)]
    index = make_index([*short, File("whole.py", " ".join(run))])
    (span,) = index.find(" ".join(run))
    assert [source.path for source in span.sources] == ["whole.py"]


def test_compact_index_finds_what_the_fingerprints_tell(library: list[File], make_index: MakeIndex) -> None:
    index = make_index(library, with_text=False)
    text = "\n".join(library[5].text.split("\n")[49:200])
    spans = index.find(text, "python")
    assert spans and not any(span.confirmed for span in spans)
    confirmed = [range(*extent) for extent in expected_spans(text, library)]
    assert all(any(span.start in whole and span.end - 1 in whole for whole in confirmed) for span in spans)
    first, last = spans[0].sources[0].lines
    assert first <= 200 and last >= 50
    assert index.original(spans[0].sources[0]) is None


@pytest.mark.parametrize("text", ["", "\n", "x", "# a comment", "0, " * 5000, "é" * 1000])
def test_texts_that_match_nothing(text: str, library: list[File], make_index: MakeIndex) -> None:
    assert make_index(library[:3], [File("numbers.py", "0, " * 9000)]).find(text) == []


def test_an_empty_index(make_index: MakeIndex) -> None:
    assert make_index([File("empty.py", "")]).find("a b " * 100) == []


def test_texts_that_cannot_be_looked_up(make_index: MakeIndex) -> None:
    index = make_index([File("a.py", "a = 1\n")])
    with pytest.raises(AttributionError, match="1,000,000 characters; at most 200,000"):
        index.find("x" * 1_000_000)
    with pytest.raises(AttributionError, match=r"\(U\+D800\) at character 3, which is not a valid character"):
        index.find("ab\ud800")
    with pytest.raises(AttributionError, match="'cobol' is unknown; supported are python, java, javascript"):
        index.find("x", "cobol")

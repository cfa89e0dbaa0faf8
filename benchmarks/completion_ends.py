"""The effect of token_healing, stop_at, stop_repetition and fit_gap on completions of held-out lines.

    python -m benchmarks.completion_ends [--models santacoder/mini santacoder/nano]
                                         [--kinds lines gaps ends inside words] [--per-language 50] [--data FOLDER]

The lines are those of the single-line infilling benchmark (``python -m train.evaluate``), which no training set
contains. The benchmark omits the line breaks around its gaps; here they are where an editor has them. All texts are
greedy. Left to right (``lines``), the model continues after the line above with at most 64 tokens; in a gap, with 25 as
in the paper. ``gaps`` are empty lines; ``ends`` begin at the end of the line above; ``inside`` are inside the line,
after its first ``=``, ``(`` or ``return``, if it has one. ``words`` are prompts that end in the middle of the line's
longest word, left to right and in gaps. ``line`` is the fraction of texts whose first non-blank line is the missing
line, and ``exact`` that of texts that are the missing line and nothing else. ``repeats`` and ``empty`` are the
fractions of repetitive and empty texts as ``train.evaluate`` defines them. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.loader import open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.engine.stream import Stream
from santacoder.engine.token_healing import is_on_by_default
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from train.evaluate.tasks.data import default_folder
from train.evaluate.tasks.infilling import Gap, gaps
from train.evaluate.tasks.repetition import is_empty, repeats_itself

_LEFT_TO_RIGHT = SamplingParams(max_new_tokens=64, temperature=0)
_IN_A_GAP = SamplingParams(max_new_tokens=25, temperature=0)
_INSIDE = re.compile(r"^[^=(]*?(?:= ?|\(|\breturn )")
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Setting:
    """A row of the table: a name, and the request for a gap and the order that the model records."""

    name: str
    request: Callable[[Gap, FimOrder | None], CompletionRequest]


def left_to_right(name: str, **fields: object) -> Setting:
    sampling = SamplingParams(**{**vars(_LEFT_TO_RIGHT), **fields})
    return Setting(name, lambda gap, _: CompletionRequest(gap.prefix, None, sampling, language=gap.language))


def in_gap(name: str, order: FimOrder | None, fit_gap: bool, **fields: object) -> Setting:
    """An ``order`` of None is the page's automatic choice, with token healing by default."""
    sampling = SamplingParams(**{**vars(_IN_A_GAP), **fields})

    def request(gap: Gap, recorded: FimOrder | None) -> CompletionRequest:
        chosen = order or automatic_order(gap.prefix, gap.suffix, recorded)
        healing = sampling.token_healing or (order is None and is_on_by_default(gap.prefix, gap.suffix))
        asked = replace(sampling, token_healing=healing)
        return CompletionRequest(gap.prefix, gap.suffix, asked, chosen, language=gap.language, fit_gap=fit_gap)

    return Setting(name, request)


LINES = [
    left_to_right("left to right"),
    left_to_right("token_healing", token_healing=True),
    left_to_right("stop_repetition", stop_repetition=True),
    left_to_right("stop_at line", stop_at="line"),
    left_to_right("stop_at block", stop_at="block"),
    left_to_right("stop_at function", stop_at="function"),
    left_to_right("page: healing, function, repetition", token_healing=True, stop_at="function", stop_repetition=True),
]
GAPS = [
    in_gap("psm", "psm", False),
    in_gap("psm, fit_gap", "psm", True),
    in_gap("psm, token_healing", "psm", False, token_healing=True),
    in_gap("spm", "spm", False),
    in_gap("spm, fit_gap", "spm", True),
    in_gap("spm, token_healing", "spm", False, token_healing=True),
    in_gap("page: auto, healing, fit_gap, repetition", None, True, stop_repetition=True),
]
WORDS = [
    left_to_right("left to right", stop_at="line"),
    left_to_right("left to right, token_healing", stop_at="line", token_healing=True),
    *(setting for setting in GAPS if not setting.name.endswith(", fit_gap")),
]


# for each kind, the transformation of a task and the settings to compare
KINDS: dict[str, tuple[Callable[[Gap], Gap | None], list[Setting]]] = {
    "lines": (lambda gap: gap, LINES),
    "gaps": (lambda gap: _in_an_editor(gap), GAPS),
    "ends": (lambda gap: _behind_the_line_above(gap), GAPS),
    "inside": (lambda gap: _cut_inside(gap), GAPS),
    "words": (lambda gap: _cut_a_word(gap), WORDS),
}
Written = tuple[str, str]
"""The expected text and the generated text."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["santacoder/mini", "santacoder/nano"])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--per-language", type=int, default=50)
    parser.add_argument("--data", type=Path, default=default_folder(), help="folder with the benchmarks' files")
    chosen = parser.parse_args(arguments)
    tasks = _spread(gaps(chosen.data), chosen.per_language)
    columns = ("model", "kind", "setting", "texts", "line", "exact", "repeats", "empty", "characters")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in chosen.models:
        engine = open_engine(checkpoints.resolve(name, "main"), device="cpu").engine
        for (kind, setting), texts in _texts(engine, tasks, chosen.kinds).items():
            print(f"| {name} | {kind} | {setting} | {_row(texts)} |", flush=True)
        engine.close()


def _texts(engine: Engine, tasks: list[Gap], kinds: list[str]) -> dict[tuple[str, str], list[Written]]:
    """The texts by kind and setting, line by line, so that settings with a common prompt prefill it only once."""
    found: dict[tuple[str, str], list[Written]] = {}
    for task in tqdm(tasks, unit="line"):
        streams: list[tuple[tuple[str, str], Gap, Stream]] = []
        for kind in kinds:
            cut, settings = KINDS[kind]
            if gap := cut(task):
                for each in settings:
                    stream = engine.submit(each.request(gap, engine.fim_order))
                    streams.append(((kind, each.name), gap, stream))
        for key, gap, stream in streams:
            found.setdefault(key, []).append((gap.middle, "".join(event.text for event in stream)))
    return found


def _spread(tasks: list[Gap], per_language: int) -> list[Gap]:
    """Choose equally many tasks per language, spread over the benchmark, whose missing line has a word."""
    chosen: list[Gap] = []
    for language in ("python", "java", "javascript"):
        of_language = [task for task in tasks if task.language == language and task.has_words]
        chosen += of_language[:: max(1, len(of_language) // per_language)][:per_language]
    return chosen


def _in_an_editor(gap: Gap) -> Gap:
    """The gap as an empty line: the benchmark leaves out the line breaks before and after it."""
    prefix, suffix = (f"{gap.prefix}\n" if gap.prefix else ""), (f"\n{gap.suffix}" if gap.suffix else "")
    return Gap(gap.name, gap.language, prefix, suffix, gap.middle)


def _behind_the_line_above(gap: Gap) -> Gap | None:
    """The gap from the end of the line above; None where it is blank."""
    if not gap.prefix.rpartition("\n")[2].strip():
        return None
    return Gap(gap.name, gap.language, gap.prefix, _in_an_editor(gap).suffix, f"\n{gap.middle}")


def _cut_inside(gap: Gap) -> Gap | None:
    """The gap after the beginning of its line; None if the line has no such position."""
    gap = _in_an_editor(gap)
    found = _INSIDE.match(gap.middle.rstrip("\n"))
    if found is None or found.end() >= len(gap.middle.rstrip()):
        return None
    end = found.end() - (found[0].endswith("= "))  # the space belongs to the next token
    return Gap(gap.name, gap.language, gap.prefix + gap.middle[:end], gap.suffix, gap.middle[end:])


def _cut_a_word(gap: Gap) -> Gap | None:
    """The gap in the middle of the line's longest word (the first, if several); None without a word of four letters."""
    gap = _in_an_editor(gap)
    words = list(_WORD.finditer(gap.middle))
    if not words:
        return None
    word = max(words, key=lambda found: len(found[0]))
    end = (word.start() + word.end()) // 2
    return Gap(gap.name, gap.language, gap.prefix + gap.middle[:end], gap.suffix, gap.middle[end:])


def _row(written: list[Written]) -> str:
    texts = [text for _, text in written]
    shares = [
        sum(_first_line(text) == _first_line(expected) for expected, text in written),
        sum(text.strip() == expected.strip() for expected, text in written),
        sum(map(repeats_itself, texts)),
        sum(map(is_empty, texts)),
    ]
    said = [f"{share / len(texts):.1%}" for share in shares]
    return " | ".join([str(len(texts)), *said, f"{sum(map(len, texts)) / len(texts):.0f}"])


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


if __name__ == "__main__":
    main()

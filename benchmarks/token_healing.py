"""Whether completions are consistent when typing stops at different positions: without token healing, with it, and with
the end of repetitions as well.

    python -m benchmarks.token_healing [--model santacoder/mini] [--revision main] [--prompts 60] [--tails 4]

The prompts are forty headers in three languages, written for this benchmark, and excerpts of the project's own files;
no model of the project was trained on either. Each prompt is continued greedily. Then the first characters of the
continuation are appended to the prompt, so many that the text stops in white space or inside a word, and it is
continued again. The two agree if the shorter text is a prefix of the longer. In a second test, each header is followed
by Enter, or by Enter and four spaces; the texts agree if the result is the continuation of the header alone. Finally,
requests of 16 tokens are timed alternately with and without token healing, unless ``--no-times`` is given. Prints
tables and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.loader import open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams

REPOSITORY = Path(__file__).resolve().parent.parent
N_TOKENS = 40
_LONGEST_TAIL = 60
_SHORT = 16
HEADERS = {
    "py": (
        "def area(w, h):",
        "def mean(values):",
        "class Stack:\n    def __init__(self):",
        "    def push(self, item):",
        "def is_even(n):",
        "for index, line in enumerate(lines):",
        "if __name__ == '__main__':",
        "with open(path) as file:",
        "def read_json(path):",
        "async def fetch(url):",
        "class Shape:",
        "    def __repr__(self):",
        "def largest(items, key=None):",
        "while queue:",
        "try:",
        "def main():",
    ),
    "java": (
        "public class Stack {\n    public void push(int item) {",
        "    public int size() {",
        "public static int max(int a, int b) {",
        "for (int i = 0; i < n; i++) {",
        "    @Override\n    public String toString() {",
        "public class Account {",
        "    public boolean isEmpty() {",
        "    private static String join(List<String> parts) {",
        "if (value == null) {",
        "while (iterator.hasNext()) {",
        "try {",
        "public interface Shape {",
    ),
    "js": (
        "function area(w, h) {",
        "const mean = (values) => {",
        "class Stack {\n  push(item) {",
        "for (const line of lines) {",
        "module.exports = {",
        "async function load(url) {",
        "class Counter {",
        "export function clamp(value, low, high) {",
        "if (!options) {",
        "items.forEach((item) => {",
        "try {",
        "button.addEventListener('click', (event) => {",
    ),
}
_WAYS: dict[str, dict[str, bool]] = {
    "without": {},
    "with": {"token_healing": True},
    "with stop_repetition, too": {"token_healing": True, "stop_repetition": True},
}
_TYPED_BEHIND = ("\n", "\n    ")
_FOREIGN = {
    "py": re.compile(r"^\s*(\*|/\*|//|\}|<p>|public |function |var |const )|[;{]\s*$", re.MULTILINE),
    "java": re.compile(r"^\s*(def |elif |import \w+$|self\.|print\()|:\s*$", re.MULTILINE),
    "js": re.compile(r"^\s*(def |elif |self\.|print\(|public )", re.MULTILINE),
}


class Case(NamedTuple):
    language: str
    prompt: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="santacoder/mini", help="model in the store (default: santacoder/mini)")
    parser.add_argument("--revision", default="main", help="branch or commit (default: main)")
    parser.add_argument("--prompts", type=int, default=60, help="number of prompts (default: 60)")
    parser.add_argument("--tails", type=int, default=4, help="typed prefixes per continuation (default: 4)")
    parser.add_argument("--runner", choices=["auto", "torch", "onnx"], default="auto", help="(default: auto)")
    parser.add_argument("--no-times", action="store_true", help="skip the timing")
    args = parser.parse_args()
    snapshot = checkpoints.resolve(args.model, args.revision)
    engine = open_engine(snapshot, device="cpu", runner=args.runner).engine
    cases = prompts(args.prompts)
    results = {name: agreement(engine, cases, args.tails, fields) for name, fields in _WAYS.items()}
    results |= {f"{name}, after Enter": behind_enter(engine, fields) for name, fields in _WAYS.items()}
    print("| token healing | cases | consistent | empty | another language |\n|---|---|---|---|---|")
    for name, found in results.items():
        shares = " | ".join(f"{found[key] / found['cases']:.1%}" for key in ("same", "empty", "foreign"))
        print(f"| {name} | {found['cases']} | {shares} |")
    engine.close()
    figures = {"model": args.model, "revision": args.revision, **results}
    if not args.no_times:
        times = figures["times"] = durations(Engine(engine.runner, engine.tokenizer, drafts=False), cases)
        both = f"{times['without']:.1f} without, {times['with']:.1f} with: {times['ratio']:.3f} ×"
        print(f"\n{_SHORT} tokens, ms (median): {both}")
    print(json.dumps(figures))


def prompts(count: int) -> list[Case]:
    """The headers, and excerpts of files up to the end of a line."""
    cases = [Case(language, header) for language, headers in HEADERS.items() for header in headers]
    chance = random.Random(0)
    files = sorted([*REPOSITORY.glob("tests/**/*.py"), *REPOSITORY.glob("app/**/*.js"), *REPOSITORY.glob("**/*.java")])
    while len(cases) < count:
        path = chance.choice(files)
        lines = path.read_text().splitlines()
        end = chance.randrange(len(lines))
        if lines[end].strip():
            cases.append(Case(path.suffix[1:], "\n".join(lines[max(0, end - 30) : end + 1])))
    return cases[:count]


def agreement(engine: Engine, cases: list[Case], n_tails: int, fields: dict[str, bool]) -> dict[str, int]:
    """How many prompts with a typed prefix of the continuation give the same text, none, or another language's
    syntax.
    """
    chance = random.Random(0)
    typed: list[tuple[Case, str, str]] = []
    for case, text in zip(cases, texts(engine, [case.prompt for case in cases], fields), strict=True):
        places = [size for size in range(1, min(len(text), _LONGEST_TAIL)) if _inside(text, size)]
        for size in sorted(chance.sample(places, min(n_tails, len(places)))):
            typed.append((case, text[:size], text[size:]))
    found = {"cases": len(typed), "same": 0, "empty": 0, "foreign": 0}
    continued = texts(engine, [case.prompt + tail for case, tail, _ in typed], fields)
    for (case, _, expected), text in zip(typed, continued, strict=True):
        found["same"] += _agree(text, expected)
        found["empty"] += not text.strip() and bool(expected.strip())
        found["foreign"] += bool(_FOREIGN[case.language].search(text)) > bool(_FOREIGN[case.language].search(expected))
    return found


def behind_enter(engine: Engine, fields: dict[str, bool]) -> dict[str, int]:
    """How many headers, followed by Enter or by Enter and four spaces, are continued like the header alone, with
    nothing, or with another language's syntax.
    """
    headers = [Case(language, header) for language, headers in HEADERS.items() for header in headers]
    alone = texts(engine, [case.prompt for case in headers], fields)
    found = {"cases": 0, "same": 0, "empty": 0, "foreign": 0}
    for typed in _TYPED_BEHIND:
        continued = texts(engine, [case.prompt + typed for case in headers], fields)
        for case, expected, text in zip(headers, alone, continued, strict=True):
            found["cases"] += 1
            found["same"] += expected.startswith(typed) and _agree(text, expected[len(typed) :])
            found["empty"] += not text.strip()
            found["foreign"] += bool(_FOREIGN[case.language].search(text))
    return found


def texts(engine: Engine, prompts: list[str], fields: dict[str, bool]) -> list[str]:
    sampling = SamplingParams(max_new_tokens=N_TOKENS, temperature=0, **fields)  # type: ignore[arg-type]
    found = []
    for start in range(0, len(prompts), engine.runner.n_slots):
        streams = [
            engine.submit(CompletionRequest(prompt, None, sampling))
            for prompt in prompts[start : start + engine.runner.n_slots]
        ]
        found += ["".join(event.text for event in stream) for stream in streams]
    return found


def durations(engine: Engine, cases: list[Case]) -> dict[str, float]:
    """Median times over the prompts in milliseconds, each measured on the second run with a warm cache. The engine must
    not draft: the acceptance of drafts depends on the text, which token healing changes.
    """
    ratios: list[float] = []
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for number, case in enumerate(cases):
        found = {}
        for name in sorted(seconds, reverse=number % 2 == 0):
            for _ in range(2):
                started = time.perf_counter()
                # no request may end early
                sampling = SamplingParams(_SHORT, 0, ignore_eos=True, token_healing=name == "with")
                request = CompletionRequest(case.prompt + "\n", None, sampling)
                list(engine.submit(request))
                found[name] = time.perf_counter() - started
            seconds[name].append(found[name] * 1000)
        ratios.append(found["with"] / found["without"])
    engine.close()
    return {**{name: statistics.median(values) for name, values in seconds.items()}, "ratio": statistics.median(ratios)}


def _agree(text: str, expected: str) -> bool:
    """Whether the shorter text is a non-empty prefix of the longer."""
    length = min(len(text), len(expected))
    return text[:length] == expected[:length] and length > 0


def _inside(text: str, size: int) -> bool:
    """Whether the first ``size`` characters end in white space or inside a word."""
    last, following = text[size - 1], text[size]
    return last.isspace() or ((last.isalpha() or last == "_") and (following.isalpha() or following == "_"))


if __name__ == "__main__":
    main()

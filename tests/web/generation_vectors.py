"""Test vectors for complete generations, with logits from a function instead of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from santacoder.engine.accumulator import Accumulator, Alternative, Token
from santacoder.engine.engine import Engine
from santacoder.engine.events import Event, Finished, TokenEvent
from santacoder.engine.request import build_prompt
from santacoder.engine.runner import Step
from santacoder.engine.token_healing import TokenHealing
from santacoder.tokenizer import Tokenizer
from tests.web.noise import mixed, noise
from tests.web.text_vectors import to_request, units

N_POSITIONS = 128
PADDING = 7
"""The number of logits that belong to no token."""
BOOST = 7
"""How much likelier the next token of the script is."""


class NoiseRunner:
    """Logits that depend on all tokens so far, and prefer those of a ``script`` that begins at a position. It is
    written again in ``web/tests/noise.js``."""

    name, precision, device = "noise", "fp32", "cpu"
    n_slots = 1
    prefill_together = None
    n_positions = N_POSITIONS

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size + PADDING
        self._hashes: list[int] = []
        self.script: list[int] = []
        self.begins_at = 0

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> np.ndarray:
        rows = [self._row(token_id, start + index) for index, token_id in enumerate(token_ids)]
        return np.stack(rows[-n_logits:])

    def decode(self, steps: Sequence[Step]) -> np.ndarray:
        return np.stack([self._row(step.token_id, step.position) for step in steps])

    def close(self) -> None:
        pass

    def _row(self, token_id: int, position: int) -> np.ndarray:
        assert position <= len(self._hashes), "what came before was not prefilled"
        before = self._hashes[position - 1] if position else 0
        self._hashes[position:] = [mixed(before + token_id + 1)]
        row = noise(self._hashes[-1], self._size)
        place = position + 1 - self.begins_at
        if 0 <= place < len(self.script):
            row[self.script[place]] += BOOST
        return row


GREEDY = {"temperature": 0.0, "max_new_tokens": 24}
LIVELY = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 24}
FUNCTION = "return w * h\n\n\ndef other(x):\n    pass\n"
HEALED = {**LIVELY, "token_healing": True, "max_new_tokens": 8, "frequency_penalty": 2.0}
BIASES = [[289, -100.0], [334, -100.0], [7, -100.0]]
# requests that one runner serves after each other, and what its model would like to write
GROUPS: list[list[tuple[dict[str, Any], str]]] = [
    [({"prefix": "def area(w, h):\n    ", "sampling": {**GREEDY, "top_logprobs": 3}}, FUNCTION)],
    [({"prefix": "def area(w, h):\n    ", "sampling": {**LIVELY, "seed": 1, "top_logprobs": 2}}, FUNCTION)],
    [({"prefix": "def area(w, h):\n    ", "sampling": {**GREEDY, "stop_at": "function"}}, FUNCTION)],
    [({"prefix": "def area(w, h):\n    x = ", "sampling": {**GREEDY, "stop_at": "line"}}, "w\n    return x\n")],
    [({"prefix": "def area(w):\n    if w:\n", "sampling": {**GREEDY, "stop_at": "block"}}, "        w()\n    x()\n")],
    [({"prefix": "x = 1\n", "sampling": {**GREEDY, "stop": ["\n\n", "dd"]}}, "y = 2\n\nadd(y)\n")],
    [({"prefix": "x = ", "sampling": {**GREEDY, "stop": ["é👍"]}}, "'東é👎é👍'\n")],
    [({"prefix": "x = ", "sampling": {**GREEDY, "max_new_tokens": 5, "top_logprobs": 2}}, "'東é👎é👍'\n")],
    [({"prefix": "a()\n", "sampling": {**GREEDY, "stop_repetition": True}}, "b()\nb()\nb()\nb()\n")],
    [({"prefix": "a():", "sampling": {**GREEDY, "stop_repetition": True}}, "\n\n\n\n\n\n")],
    [({"prefix": "x = ", "suffix": "\nprint(x)\n", "fit_gap": True, "sampling": GREEDY}, "\n1\nprint(x)")],
    [({"prefix": "x = ", "suffix": "\nprint(x)\n", "fit_gap": True, "sampling": GREEDY}, "f(1)\nprint(x)\nz")],
    [
        (
            {
                "prefix": "x = ",
                "suffix": "\nprint(x)\n",
                "fit_gap": True,
                "sampling": {**GREEDY, "max_new_tokens": 60, "stop_repetition": True},
            },
            "f(1)\nprint(x)\n" * 5,
        )
    ],
    [
        (
            {"prefix": "x = ", "suffix": "\nprint(x)\ny(x)\n", "fit_gap": True, "sampling": GREEDY},
            "f(1)\nprint(x)\ny(x)\nz",
        )
    ],
    [({"prefix": "x = ", "suffix": "\nprint(x)\n", "fit_gap": True, "sampling": GREEDY}, "f(1)\nprint(x)<eot>")],
    [({"prefix": "x = f(", "suffix": ")\n", "fim_order": "psm", "fit_gap": True, "sampling": GREEDY}, "g(y))\n")],
    [
        (
            {"prefix": "x = 1\n", "suffix": "z = 2\n", "fim_order": "spm", "sampling": {**LIVELY, "seed": 5}},
            "y = x\n<eot>",
        )
    ],
    [({"prefix": "x = 1\n", "sampling": {**GREEDY}}, "y = x\n<eot>z")],
    [({"prefix": "x = 1\n", "sampling": {**GREEDY, "ignore_eos": True}}, "y = x\n<eot>z")],
    [({"prefix": "x = 1\n", "sampling": {**LIVELY, "seed": 3, "min_logprob": -3.0}}, "y = x\nz = 2\n")],
    [
        (
            {"prefix": "def area(w, h):\n    ret", "sampling": {**GREEDY, "token_healing": True, "top_logprobs": 3}},
            FUNCTION[3:],
        )
    ],
    [
        (
            {"prefix": "import o", "sampling": {**LIVELY, "seed": 2, "token_healing": True, "top_logprobs": 3}},
            "s\n\nx = os.x\n",
        )
    ],
    [({"prefix": "import o", "sampling": {**LIVELY, "seed": 6, "token_healing": True}}, "s\n\nx = os.x\n")],
    [({"prefix": "def f():\n", "sampling": {**LIVELY, "seed": 8, "token_healing": True}}, "    return 1\n")],
    [({"prefix": "s = '東", "sampling": {**GREEDY, "token_healing": True}}, "京'\n")],
    [({"prefix": "x = ", "suffix": "\n", "sampling": {**GREEDY, "token_healing": True}, "fit_gap": True}, "\n1 + 2")],
    [
        (
            {
                "prefix": "x = y",
                "suffix": ")\n",
                "fim_order": "psm",
                "sampling": {**LIVELY, "seed": 4, "token_healing": True},
            },
            "_z(a",
        )
    ],
    [({"prefix": "a = 1\r\nb", "sampling": {**GREEDY, "stop": ["\r\nd"], "top_logprobs": 2}}, " = 2\nc = 3\nd = 4\n")],
    [({"prefix": "x = y\n" * 60, "sampling": {**GREEDY, "max_new_tokens": 100}}, "x = y\n" * 9)],
    [({"prefix": "x = y", "sampling": {**GREEDY, "max_new_tokens": 0}}, " + 1")],
    [
        (
            {
                "prefix": "x = y",
                "sampling": {**LIVELY, "seed": 11, "frequency_penalty": 1.0, "repetition_penalty": 1.2, "min_p": 0.02},
            },
            " + 1\n" * 5,
        )
    ],
    [
        ({"prefix": "def area(w, h):\n    ", "sampling": {**GREEDY, "max_new_tokens": 6}}, "return w * h\n"),
        ({"prefix": "def area(w, h):\n    return", "sampling": {**GREEDY, "max_new_tokens": 6}}, " w * h\n"),
        (
            {"prefix": "def area(w, h):\n    return w", "sampling": {**LIVELY, "seed": 7, "token_healing": True}},
            " * h\n",
        ),
        (
            {"prefix": "def area(w, h):\n    return w", "sampling": {**LIVELY, "seed": 8, "token_healing": True}},
            "idth\n",
        ),
        ({"prefix": "def area(w, h):\n    return w", "sampling": {**LIVELY, "seed": 9}}, " * h\n"),
        ({"prefix": "class", "suffix": ")", "sampling": {**GREEDY, "max_new_tokens": 3}}, " A(B"),
    ],
]
GROUPS += [  # several tokens are taken back
    [({"prefix": prefix, "sampling": {**HEALED, "seed": seed}}, text)]
    for prefix, text in (
        ("x = ((", "(1))"),
        ("def f(x):\n\n\n", "\n    pass"),
        ("x = tok", "ens"),
        ("    retur", "n x"),
    )
    for seed in (1, 2)
]
GROUPS += [  # a bias against the tokens " re", " return" and "(", which is for new text alone
    [({"prefix": prefix, "sampling": {**HEALED, "temperature": 0.0, "logit_bias": BIASES}}, text)]
    for prefix, text in (("    ret", "urn x"), ("x = f", "((1))"), ("    retu", "(re"))
]
# requests whose text has been begun: the fields, the text so far, and what the model would like to write behind it
BEGUN: list[tuple[dict[str, Any], str, str]] = [
    (
        {"prefix": "def area(w):\n    ", "sampling": {**GREEDY, "stop_repetition": True, "max_new_tokens": 40}},
        "return w",
        "\n    x()\n    x()\n    x()\n    x()\n",
    ),
    (  # two copies have been shown
        {"prefix": "x()\n", "sampling": {**GREEDY, "stop_repetition": True}},
        "foo()\nfoo()\n",
        "foo()\nfoo()\nfoo()\n",
    ),
    ({"prefix": "x = [", "sampling": {**GREEDY, "stop_repetition": True}}, "f(a), f(a), f(", "a), f(a), f(a), 1]"),
    ({"prefix": "", "sampling": {**GREEDY, "stop_repetition": True}}, "y = x\n" * 3, "z"),
    (  # a part of the suffix has been shown
        {"prefix": "x = ", "suffix": "\nprint(x)\n", "fit_gap": True, "sampling": GREEDY},
        "f(1)\nprint",
        "(x)<eot>",
    ),
    # the last character was held back
    ({"prefix": "def area(w):\n    ", "sampling": {**GREEDY, "stop": ["w x"]}}, "return w", " + 1\n"),
]


def generations(tokenizer: Tokenizer) -> list[Any]:
    """For each group of requests: the script, the prompt, the events, and the tokens of the text."""
    begun = [[(_begun(fields, written, tokenizer), text)] for fields, written, text in BEGUN]
    return [_group(group, tokenizer) for group in [*GROUPS, *begun]]


def _begun(fields: dict[str, Any], written: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """The request with the text so far in its prompt."""
    ids = tokenizer.encode(written)
    prefix_ids = [*tokenizer.encode(fields["prefix"]), *ids]
    return {
        **fields,
        "prefix_ids": prefix_ids,
        "is_begun": True,
        "written": [[token_id, tokenizer.decode([token_id])] for token_id in ids],
    }


def _group(group: list[tuple[dict[str, Any], str]], tokenizer: Tokenizer) -> list[Any]:
    runner = NoiseRunner(tokenizer.vocab_size)
    engine = Engine(runner, tokenizer, drafts=False)
    try:
        return [_generation(fields, text, engine, runner) for fields, text in group]
    finally:
        engine.close()


def _generation(fields: dict[str, Any], text: str, engine: Engine, runner: NoiseRunner) -> dict[str, Any]:
    tokenizer, request = engine.tokenizer, to_request(fields)
    prompt = build_prompt(request, tokenizer, N_POSITIONS, healing=TokenHealing(tokenizer))
    written, end, behind = (prompt.typed.decode(errors="ignore") + text).partition("<eot>")
    runner.script = tokenizer.encode(written) + [tokenizer.end_of_text_id] * bool(end) + tokenizer.encode(behind)
    runner.begins_at = len(prompt.ids)
    stream = engine.submit(request)
    events = list(stream)
    accumulator = Accumulator(tokenizer, stream.prompt_end, crlf=stream.crlf, with_respelled=True)
    for event in events:
        accumulator.add(event)
    return {
        "request": fields,
        "script": runner.script,
        "begins_at": runner.begins_at,
        "prompt_ids": stream.prompt_ids,
        "n_cached": stream.n_cached,
        "notices": list(stream.notices),
        "events": [_event(event) for event in events],
        "text": accumulator.text,
        "behind": accumulator.behind,
        "tokens": [_token(token, accumulator.text) for token in accumulator.tokens],
    }


def _event(event: Event) -> list[Any]:
    if isinstance(event, Finished):
        return [event.reason, event.text, event.message, event.ended_by, event.cut]
    assert isinstance(event, TokenEvent)
    return [event.id, event.text, round(event.logprob, 5), event.n_typed]


def _token(token: Token, text: str) -> list[Any]:
    alternatives: tuple[Alternative, ...] = token.top
    return [token.id, token.text, units(text[: token.offset]), [[each.id, each.text] for each in alternatives]]

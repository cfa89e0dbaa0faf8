"""Test vectors for tokens, prompts and the ends of texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from santacoder.engine.ends.lexer import Lexer
from santacoder.engine.ends.overlap import SuffixOverlap
from santacoder.engine.ends.repetition import RepetitionEnd
from santacoder.engine.ends.stop_at import end_finder
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.gap_start import GapStart, is_inside_line
from santacoder.engine.prompt_lookup import Drafting
from santacoder.engine.request import CompletionRequest, build_prompt
from santacoder.engine.stop import StopFinder
from santacoder.engine.token_healing import TokenHealing, is_on_by_default
from santacoder.errors import UserError
from santacoder.languages import LANGUAGES, guess_language
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.santacoder.engine.ends import test_lexer, test_stop_at
from tests.web.noise import mixed, noise

CODE = [
    "def area(width, height):\n    return width * height\n",
    "\tpublic static int main(String[] args) {\r\n\t\treturn 0x1F + 12345;\r\n\t}\r\n",
    "const naïve = `${x} = ${'東京'.length}`; // 👍🏽 ok\n",
    "s = 'été'  # ０１２ ½ Ⅷ\u00a0x\u2028y\u3000z\x85\x1cq\ufeff\n",
    "  \n\n\n   if (x)\t\t\t{}\r\r\n",
    "don't we'll I'm they've he'd it's you're DON'T 'tis",
    "<|endoftext|><fim-prefix>a<fim_middle>",
    "x=" + "9" * 40 + " " * 30 + "\n" * 20 + "#" * 50,
    "नमस्ते مرحبا e\u0301 \U0001d4d0\U0001d4d1",
    "",
]
ALPHABET = list("abdefilmnorst_  \n\t()[]:.,='\"0123東é👍\r\u3000\u0301")
REQUESTS: list[dict[str, Any]] = [
    {"prefix": "def area(w, h):\n    ret"},
    {"prefix": "x = 1\r\ny = ", "sampling": {"stop": ["\r\n\r\n", "z\r"]}},
    {"prefix": "x = ", "suffix": "\r\nprint(x)\r\n"},
    {"prefix": "def f(x):\n    ", "suffix": "\n    return x\n", "fim_order": "psm"},
    {"prefix": "def f(x):\n    ", "suffix": "\n    return x\n", "fim_order": "spm"},
    {"prefix": "", "suffix": "\n    return x\n"},
    {"prefix": "", "suffix": ""},
    {"prefix": ""},
    {"prefix": "a\0b"},
    {"prefix": "👍 x\0"},
    {"prefix": "x\r\n\r\n\0", "suffix": "\r\n"},
    {"prefix": "x\r\n", "suffix": "\r\n\r\n\ud800"},
    {"prefix": "x = y\n" * 40},
    {"prefix": "x = y\n" * 40, "may_be_cut": False},
    {"prefix": "x = y\n" * 40, "suffix": "z = 1\n" * 40, "sampling": {"max_new_tokens": 20}},
    {"prefix": "x = y\n", "suffix": "z = 1\n" * 40, "sampling": {"max_new_tokens": 200}},
    {"prefix": "x = y\n" * 10, "suffix": "z", "sampling": {"max_new_tokens": 500, "token_healing": True}},
    {"prefix": "x = tok", "sampling": {"token_healing": True}},
    {"prefix": "x = tok", "sampling": {"token_healing": True, "max_new_tokens": 0}},
    {"prefix": "class A:\n    def f", "suffix": "\n", "fim_order": "psm", "sampling": {"token_healing": True}},
    {"prefix": "x", "prefix_ids": [3, 4, 5], "sampling": {"token_healing": True}},
    {"prefix": "x", "prefix_ids": [3, 4, 5000]},
    {"prefix": "x", "sampling": {"logit_bias": [[900, 1.0]]}},
    {"prefix": "x" * 9, "suffix": "y", "prefix_ids": [403, 3, 4, 402, 5], "is_begun": True, "written": [[5, "x"]]},
    {"prefix": "z = 0.5 * y\n" * 12000},
    {"prefix": "z = '👍' * y\n" * 12000, "suffix": "w = '東京' + 1\n" * 12000},
]


def tokenizations(tokenizer: Tokenizer) -> list[Any]:
    """Texts, their tokens, and where the pre-tokenizer splits them, in UTF-16 units."""
    texts = [*CODE, *_random_texts(0, 60, ALPHABET, 40)]
    return [[text, tokenizer.encode(text), [units(text[:at]) for at in tokenizer.word_starts(text)]] for text in texts]


def decodings(tokenizer: Tokenizer) -> list[Any]:
    """Tokens in any order, with incomplete and invalid characters: what each adds to the text."""
    rng = np.random.default_rng(1)
    id_of = {tokenizer.decode_bytes([token_id]): token_id for token_id in range(tokenizer.vocab_size)}
    texts = [
        b"\xed\xae\xb0a",
        b"\xe0\x80\xf0\x80\xf4\x90\xf5",
        b"\xf0\x9f\x91\x8d\xf0\x9f\x91",
        b"\xc3a\xc3",
        b"\xef\xbb\xbfa",
    ]
    sequences = [[id_of[bytes([byte])] for byte in text] for text in texts]
    sequences += [rng.integers(0, tokenizer.vocab_size, count).tolist() for count in (3, 8, 40)]
    sequences += [rng.integers(94, 256, 40).tolist() for _ in range(6)]  # bytes that are not ASCII
    found = []
    for ids in sequences:
        decoder = tokenizer.stream_decoder()
        added = [decoder.feed(token_id) for token_id in ids]
        found.append([ids, added, decoder.finish(), tokenizer.decode(ids)])
    return found


def prompts(tokenizer: Tokenizer) -> list[Any]:
    """Requests, and their prompts in a context of 128 positions; or the error."""
    healing = TokenHealing(tokenizer)
    found = []
    for fields in REQUESTS:
        entry: dict[str, Any] = {"request": {key: _shortened(value) for key, value in fields.items()}}
        try:
            request = to_request(fields)
            prompt = build_prompt(request, tokenizer, 128, healing=healing)
            entry |= {"ids": prompt.ids, "max_new_tokens": prompt.max_new_tokens, "notices": list(prompt.notices)}
            entry |= {"taken_back": list(prompt.taken_back), "crlf": request.crlf, "stop": list(request.sampling.stop)}
        except UserError as error:
            entry |= {"error": str(error)}
        found.append(entry)
    return found


def to_request(fields: dict[str, Any]) -> CompletionRequest:
    """The request that these fields of JSON describe."""
    sampling = dict(fields.get("sampling", {}))
    sampling["stop"] = tuple(sampling.get("stop", ()))
    sampling["logit_bias"] = tuple((token_id, bias) for token_id, bias in sampling.get("logit_bias", ()))
    others: dict[str, Any] = {"fim_order": None, **fields, "sampling": SamplingParams(**sampling)}
    if others.get("prefix_ids") is not None:
        others["prefix_ids"] = tuple(others["prefix_ids"])
    others["written"] = tuple((token_id, text) for token_id, text in others.get("written", ()))
    return CompletionRequest(**others)


def healings(tokenizer: Tokenizer) -> dict[str, Any]:
    """How many tokens are open at the ends of texts, and which agree with the beginnings of texts."""
    healing = TokenHealing(tokenizer)
    texts = [*CODE[:-1], *_random_texts(2, 60, ALPHABET, 14)]
    ids = [tokenizer.encode(text) for text in texts]
    begun = [*texts[:9], *_random_texts(3, 40, ALPHABET, 5), *("re", "\n  ", "'ll", "  x", "東", "(")]
    beginnings = [text.encode()[start:] for text in begun for start in range(min(3, len(text)))]
    defaults = [(p, s) for p in ("x = ", "f(", "x:", "x:\n", "a_", "é", "", "x) ") for s in (None, "\n", ")\n")]
    return {
        "open": [[each, healing.n_open(each)] for each in ids],
        "agreeing": [[list(text[:20]), healing.agreeing(text[:20]).tolist()] for text in beginnings],
        "defaults": [[*pair, is_on_by_default(*pair)] for pair in defaults],
        "avoided": [_avoided(*each, tokenizer) for each in (("x =", 2), ("x =", 6), ("x = f(", 9))],
        "gaps": [
            [p, s or "", is_inside_line(p, s or ""), recorded, automatic_order(p, s or "", recorded)]
            for p, s in defaults
            for recorded in (None, "psm", "spm")
        ],
    }


def _avoided(prefix: str, boost: int, tokenizer: Tokenizer) -> list[Any]:
    """A gap after ``prefix``: how likely a line break is, and what must not come first, also if little else agrees."""
    (line_break,) = tokenizer.encode("\n")
    logits = noise(boost, tokenizer.vocab_size)
    logits[line_break] += boost
    start = GapStart(prefix, tokenizer)
    agreeing = np.array([line_break, *range(20)])
    return [prefix, boost, start.avoided(logits), agreeing.tolist(), start.avoided(logits, agreeing)]


def stop_sequences() -> list[Any]:
    cases = [(["\n\n"], "a\n\nb"), (["ab", "abc"], "xabcab"), (["aab"], "aaaab"), (["👍x"], "👎👍👍x"), ([], "abc")]
    texts = _random_texts(4, 30, ["a", "b", "\n"], 14)
    rng = np.random.default_rng(5)
    for text in texts:
        begin = int(rng.integers(len(text)))
        cases.append(([text[begin : begin + 3], "bab"], text))
    return [[stop, text, size, *_fed(StopFinder(stop), text, size)] for stop, text in cases for size in (1, 3)]


def structures() -> dict[str, Any]:
    """Prompts and texts, and where the lines, blocks and functions in them end. The prompt null is the ``long`` one."""
    cases: list[tuple[Any, Any, str, str]] = [
        (stop_at, language, prompt, text + rest) for stop_at, language, prompt, text, rest in test_stop_at.CASES
    ]
    cases += [("function", language, prompt, f"{text}\n\n  ") for language, prompt, text in test_stop_at.WHOLE]
    pieces = _random_texts(6, 240, test_stop_at.PIECES, 12)
    for index in range(0, len(pieces), 2):
        stop_at = ("block", "function")[index // 2 % 2]
        cases.append((stop_at, LANGUAGES[index // 4 % 3], pieces[index], pieces[index + 1]))
    function = "def area(w, h):\n    if w > {}:\n        return 'naïve 東' * h\n    return w\n\n"
    long = "".join(function.format(index) for index in range(120)) + "def last(x):\n    if x:\n        "
    cases += [("block", None, long, "y\n    z\n"), ("function", "python", long, "y\n    z\n\nx = 1\n")]
    found = []
    for stop_at, language, prompt, text in cases:
        finder = end_finder(prompt, stop_at, language)
        assert finder is not None
        shown = _fed(finder, text, 4)
        found.append([stop_at, language, prompt if prompt != long else None, text, 4, *shown])
    return {"long": long, "cases": found}


def lexings() -> list[Any]:
    """Texts in pieces, and the tokens that each piece completes."""
    found = []
    for index, text in enumerate([*CODE[:-1], *_random_texts(7, 60, [*test_lexer.PIECES, "é", "👍"], 16)]):
        language = LANGUAGES[index % 3]
        lexer = Lexer(language)
        tokens = [[*lexer.feed(text[at : at + 3])] for at in range(0, len(text), 3)] + [lexer.feed("", final=True)]
        fed = [[[token.kind, token.text, units(text[: token.start])] for token in piece] for piece in tokens]
        found.append([language, text, [piece for pieces in fed for piece in pieces], [len(piece) for piece in fed]])
    return found


def overlaps() -> list[Any]:
    """Suffixes and middles: what is shown, and what is cut."""
    cases = [
        ("\n    return value;\n}\n", "\n    }\n    return value;"),
        (")\n", "g(x))"),
        ('")\n', 'hello")'),
        ("\n  one\n  two\n  other\n", "a\n  one\n  two\n  three"),
        ("\n}\n", "if (y) {\n  z();\n}"),
        ("👍\n👎\nx", "a👍\n👎\nb"),
        (")\nreturn value\nfoo()\n", "f(a)\nreturn value\nfoo() + bar"),
    ]
    pieces = _random_texts(8, 60, ["a", "b", "\n", "(", ")", '"'], 10)
    cases += list(zip(pieces[::2], pieces[1::2], strict=True))
    found = []
    for suffix, middle in cases:
        end = SuffixOverlap(suffix)
        shown = _fed(end, middle, 2)
        found.append([suffix, middle, 2, *shown, end.cut])
    return found


def repetitions() -> list[Any]:
    """Prompts and texts of pieces: what is shown after each, and what is cut."""
    texts = [
        ("", "return y\nreturn y\nreturn y\nreturn"),
        ("", "foo bar foo bar foo bar foo bar foo"),
        ("    f()", "\n    f()\n    f()\n    f()\n"),
        ("    f", "()\n    f()\n    f()\n"),
        ("", "v = [" + "0, " * 20),
        ("", "é\n\x1c\né\n \né\né\n"),
        *(("", text) for text in _random_texts(9, 40, ["a", "b", "\n", " ", "0"], 40)),
    ]
    found = []
    for prompt, text in texts:
        end = RepetitionEnd(prompt)
        lengths, has_ended = [], False
        for character in text:
            shown, has_ended = end.feed(ord(character), character)
            lengths.append(units(shown))
            if has_ended:
                break
        rest = ["", has_ended] if has_ended else list(end.finish())
        found.append([prompt, text, lengths, *rest, end.cut])
    return found


def guesses() -> list[Any]:
    texts = [*CODE, *(prompt + text + rest for _, _, prompt, text, rest in test_stop_at.CASES)]
    return [[text, guess_language(text)] for text in texts]


def units(text: str) -> int:
    """The length of ``text`` in UTF-16 units, in which JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2


def _fed(end: Any, text: str, size: int) -> tuple[list[int], str]:
    """How much is shown after each piece of ``text``, in UTF-16 units, and what is shown at the end."""
    lengths = []
    for at in range(0, len(text), size):
        shown, has_ended = end.feed(text[at : at + size])
        lengths.append(units(shown))
        if has_ended:
            return lengths, ""
    return lengths, end.finish()


def _random_texts(seed: int, count: int, pieces: list[str], most: int) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, most, count)
    return ["".join(pieces[index] for index in rng.integers(0, len(pieces), length)) for length in lengths]


def _shortened(value: Any) -> Any:
    """A long text, as a part of it and how often it is repeated."""
    if isinstance(value, str) and len(value) > 1000:
        part = value[: value.index("\n") + 1]
        return {"repeated": part, "times": len(value) // len(part)}
    return value


def drafts() -> list[Any]:
    """Token ids that repeat themselves, and what is drafted after some of them."""
    texts = []
    for seed, n_words in enumerate((2, 3, 6, 20)):
        words = [[mixed(100 * seed + word + place) % 8 for place in range(1 + word % 9)] for word in range(n_words)]
        ids = [token for turn in range(30) for token in words[mixed(1000 * seed + turn) % n_words]]
        drafting = Drafting()
        rooms = [(place, mixed(place) % 20) for place in range(1, len(ids)) if mixed(seed + place) % 3 == 0]
        texts.append(
            {"ids": ids, "drafts": [[place, room, drafting.draft(ids[:place], room)] for place, room in rooms]}
        )
    return texts

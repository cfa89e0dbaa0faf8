"""Does the browser's engine write what the server's writes, with the same graph, parameters and seeds?

    python -m benchmarks.browser_agreement [--model santacoder/mini] [--prompts 200]

Both engines get each prompt; the browser's runs in Node.js, which has the JavaScript and WebAssembly of Chromium. Needs
``npm ci --prefix web``. Ends with status 1 if a token differs, or a log-probability by more than 0.001.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.site import write_site
from export.web_runner import WebRunner
from santacoder import checkpoints
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import Engine
from santacoder.engine.events import Finished, TokenEvent
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.onnx.runner import graph_name
from santacoder.engine.request import CompletionRequest
from santacoder.engine.token_healing import is_on_by_default
from santacoder.languages import Language
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

TOLERANCE = 1e-3
_REPOSITORY = Path(__file__).resolve().parents[1]
_SOURCES: dict[str, Language] = {"santacoder/**/*.py": "python", "web/engine/**/*.js": "javascript"}
_LONGEST = 1500
_NEW_TOKENS = 32
_SAMPLING: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {"temperature": 0.2, "top_p": 0.95},
    {"temperature": 0.8, "top_p": 0.9},
    {"temperature": 1.0, "top_p": 1.0, "top_k": 40, "repetition_penalty": 1.1},
]
# characters of several tokens, line ends of Windows, and more text than the context holds
_UNUSUAL = ["s = '東京 😀", "x = 1\r\ny = 2\r\n", "# é👍🏽\nprint(", "\tif x:\n\t\t", "value = other.value\n" * 3000]


@dataclass(frozen=True)
class Written:
    """What an engine wrote: the text, why it ended, and each token's id, log-probability and alternatives."""

    text: str
    reason: str
    tokens: list[tuple[int, float, list[tuple[int, float]]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="santacoder/mini", help="model to ask (default: %(default)s)")
    parser.add_argument("--prompts", type=int, default=200, help="number of prompts (default: %(default)s)")
    args = parser.parse_args()
    requests = [*made_requests(args.prompts)]
    with tempfile.TemporaryDirectory() as place:
        folder = site_model(Path(place) / "site", args.model)
        pairs = [*zip(by_server(folder, args.model, requests), by_browser(folder, requests), strict=True)]
    found = [where for number, pair in enumerate(pairs) if (where := difference(*pair, f"prompt {number}"))]
    print("\n".join(found), end="\n" if found else "")
    n_tokens = sum(len(server.tokens) for server, _ in pairs)
    print(f"{len(pairs)} prompts, {n_tokens} tokens: {len(found)} prompts differ")
    print(f"largest difference of a log-probability: {max(largest_gap(*pair) for pair in pairs):.1e}")
    return int(bool(found))


def made_requests(count: int) -> Iterator[CompletionRequest]:
    """Requests as the page makes them, from this repository's own files cut at random places; every other one with a
    gap."""
    sources = [(path, language) for glob, language in _SOURCES.items() for path in sorted(_REPOSITORY.glob(glob))]
    choices = random.Random(0)
    for number in range(count):
        path, language = choices.choice(sources)
        text = path.read_text(encoding="utf-8")
        start = choices.randrange(len(text))
        at = choices.randrange(start, min(len(text), start + _LONGEST)) + 1
        prefix, suffix = text[start:at], text[at : at + _LONGEST] if number % 2 else None
        if number % 4 < 2 and number // 4 < len(_UNUSUAL):
            prefix = _UNUSUAL[number // 4]
        yield _request(prefix, suffix, language, number)


def _request(prefix: str, suffix: str | None, language: Language, number: int) -> CompletionRequest:
    sampling = SamplingParams(
        max_new_tokens=_NEW_TOKENS,
        seed=number,
        top_logprobs=5,
        token_healing=is_on_by_default(prefix, suffix),
        stop_at="none" if suffix is not None else "block",
        stop_repetition=True,
        **_SAMPLING[number // 2 % len(_SAMPLING)],
    )
    is_gap = suffix is not None
    order = automatic_order(prefix, suffix or "", None)
    return CompletionRequest(prefix, suffix, sampling, fim_order=order, fit_gap=is_gap, language=language)


def site_model(site: Path, model: str) -> Path:
    """Write a site with ``model``, and return the folder of its files."""
    write_site(site, [model], checkpoints.DEFAULT_STORE)
    return next(site.glob("models/*/*"))


def by_server(folder: Path, model: str, requests: list[CompletionRequest]) -> list[Written]:
    """What the server's engine writes with the graph in ``folder``."""
    repo_id, _, revision = model.partition("@")
    snapshot = checkpoints.resolve(repo_id, revision or "main", download=False)
    tokenizer = Tokenizer.load(snapshot / "tokenizer.json")
    engine = Engine(WebRunner(folder / graph_name("web"), checkpoints.read_config(snapshot)), tokenizer)
    try:
        return [_by_server(engine, request) for request in requests]
    finally:
        engine.close()


def _by_server(engine: Engine, request: CompletionRequest) -> Written:
    stream = engine.submit(request)
    accumulator = Accumulator(engine.tokenizer, stream.prompt_end, crlf=stream.crlf)
    tokens: list[tuple[int, float, list[tuple[int, float]]]] = []
    reason = ""
    for event in stream:
        accumulator.add(event)
        if isinstance(event, TokenEvent):
            tokens.append((event.id, event.logprob, [*event.top]))
        elif isinstance(event, Finished):
            reason = event.message or event.reason
    return Written(accumulator.text, reason, tokens)


def by_browser(folder: Path, requests: list[CompletionRequest]) -> list[Written]:
    """What the browser's engine writes with the graph in ``folder``."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("Node.js is not installed.")
    fields = ("prefix", "suffix", "fim_order", "fit_gap", "language", "crlf")
    given = [{name: getattr(each, name) for name in fields} | {"sampling": _sampling(each)} for each in requests]
    command = [node, str(_REPOSITORY / "web" / "tests" / "write.js"), str(folder)]
    found = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(found.stderr)
    results = json.loads(found.stdout)
    return [
        Written(
            each["text"], each["reason"], [(token["id"], token["logprob"], token["top"]) for token in each["tokens"]]
        )
        for each in results
    ]


def _sampling(request: CompletionRequest) -> dict[str, Any]:
    """The parameters that are not at their defaults: the browser does not have all of the server's."""
    defaults = asdict(SamplingParams())
    return {name: value for name, value in asdict(request.sampling).items() if value != defaults[name]}


def difference(server: Written, browser: Written, name: str) -> str:
    """Where the two differ, or nothing."""
    for place, (one, other) in enumerate(zip(server.tokens, browser.tokens, strict=False)):
        if one[0] != other[0]:
            return f"{name}: token {place} is {one[0]} on the server and {other[0]} in the browser"
    if (server.text, server.reason, len(server.tokens)) != (browser.text, browser.reason, len(browser.tokens)):
        on_server, in_browser = f"{server.text!r} ({server.reason})", f"{browser.text!r} ({browser.reason})"
        return f"{name}: {on_server} on the server, {in_browser} in the browser"
    gap = largest_gap(server, browser)
    return f"{name}: a log-probability differs by {gap:.1e}" if gap > TOLERANCE else ""


def largest_gap(server: Written, browser: Written) -> float:
    """The largest difference between the log-probabilities of the same tokens, alternatives included, in nats."""
    gap = 0.0
    for (id_, logprob, top), (other_id, other_logprob, other_top) in zip(server.tokens, browser.tokens, strict=False):
        if id_ != other_id:
            break
        others = dict([*other_top, (other_id, other_logprob)])
        gap = max(gap, *(abs(value - others[each]) for each, value in [(id_, logprob), *top] if each in others))
    return gap


if __name__ == "__main__":
    sys.exit(main())

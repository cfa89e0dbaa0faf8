"""How many runs of the model drafts save, while somebody types lines and for longer texts.

    python -m benchmarks.drafts [--lines 40]

santacoder/mini writes greedily, with the attention of wide models, whose verified tokens have the same bits as decoded
ones. Lines of this project's code are typed keystroke by keystroke, each of which requests the rest of the line, and
texts of 64 tokens continue other passages. A run's cost is that of a decoded token, and 0.1 for each further token, as
at the 1.1 B shape on two Zen 5 cores (docs/kernels.md). Reading the prompt counts only with what is drafted behind it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from export import graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Logits, Step
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams

_SOURCES = Path(__file__).resolve().parents[1] / "santacoder"
_COST_OF_FURTHER_TOKEN = 0.1
_KEYSTROKES = 24


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drafts", description=__doc__.split("\n")[0])
    parser.add_argument("--lines", type=int, default=40, help="typed lines, and continued passages (default: 40)")
    n_lines = parser.parse_args().lines
    snapshot = checkpoints.resolve("santacoder/mini")
    model, tokenizer = checkpoints.load(snapshot)
    weights = model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        graph._WIDE = 0
        path = Path(folder) / graph_name("int8")
        graph.write_graph(path, model.config, lambda name: weights[name].float().numpy(), PRECISIONS["int8"])
        runner = CountingRunner(path, model.config, n_slots=2)
    work = {
        "typed, suffix first": lambda: typed(n_lines, "spm"),
        "typed, prefix first": lambda: typed(n_lines, "psm"),
        "continued": lambda: continued(n_lines),
    }
    print("| | tokens | no drafts: cost a token | of the text | ratio | and of the session | ratio |")
    print("|---" * 7 + "|")
    for what, requests in work.items():
        costs = []
        for drafts, session in ((False, ""), (True, ""), (True, "one")):
            engine, runner.cost, n_tokens = Engine(runner, tokenizer, drafts=drafts), 0.0, 0
            for request in requests():
                n_tokens += sum(isinstance(event, TokenEvent) for event in engine.submit(request, session=session))
            engine.close()
            costs.append(runner.cost / n_tokens)
        plain, text, both = costs
        shares = f"{text:.3f} | {text / plain:.2f} | {both:.3f} | {both / plain:.2f}"
        print(f"| {what} | {n_tokens:,} | {plain:.3f} | {shares} |", flush=True)


class CountingRunner(OnnxRunner):
    cost = 0.0

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        is_draft = n_logits == len(token_ids) > 1
        self.cost += is_draft + _COST_OF_FURTHER_TOKEN * (n_logits - 1)
        return super().prefill(slot, token_ids, start, n_logits)

    def decode(self, steps: Sequence[Step]) -> Logits:
        self.cost += 1
        return super().decode(steps)


def typed(n_lines: int, order: FimOrder) -> Iterator[CompletionRequest]:
    for before, line, after in _places(n_lines):
        indent = len(line) - len(line.lstrip())
        for end in range(indent, min(len(line), indent + _KEYSTROKES)):
            params = SamplingParams(32, 0, stop=("\n",), token_healing=True)
            yield CompletionRequest(before + line[:end], f"\n{after}", params, order, fit_gap=True)


def continued(n_texts: int) -> Iterator[CompletionRequest]:
    for before, _, _ in _places(n_texts):
        yield CompletionRequest(before, None, SamplingParams(64, 0, stop_at="none", ignore_eos=True))


def _places(count: int) -> list[tuple[str, str, str]]:
    """Code before a line of at least 20 characters, the line, and the code after it."""
    chance = random.Random(1)
    sources = sorted(sorted(_SOURCES.rglob("*.py")), key=lambda path: -path.stat().st_size)[:40]
    places: list[tuple[str, str, str]] = []
    while len(places) < count:
        lines = chance.choice(sources).read_text(encoding="utf-8").splitlines(keepends=True)
        at = chance.randrange(20, len(lines) - 20)
        if len(lines[at].strip()) >= 20:
            places.append(("".join(lines[:at])[-1500:], lines[at].rstrip("\n"), "".join(lines[at + 1 :])[:600]))
    return places


if __name__ == "__main__":
    main()

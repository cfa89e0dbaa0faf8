"""The scores of the SantaCoder paper's final model (arXiv 2301.03988), and their comparison with ours."""

from __future__ import annotations

from collections.abc import Iterable

from santacoder.checkpoints import RevisionScore
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from train.evaluate.results.result import Result

# benchmark, language -> metric -> score; pass@1 is at temperature 0.2, the others at 0.8
_SCORES = {
    ("multipl-e-humaneval", "python"): {"pass@1": 0.18, "pass@10": 0.29, "pass@100": 0.49},
    ("multipl-e-humaneval", "java"): {"pass@1": 0.15, "pass@10": 0.26, "pass@100": 0.41},
    ("multipl-e-humaneval", "javascript"): {"pass@1": 0.16, "pass@10": 0.27, "pass@100": 0.47},
    ("multipl-e-mbpp", "python"): {"pass@1": 0.35, "pass@10": 0.58, "pass@100": 0.77},
    ("multipl-e-mbpp", "java"): {"pass@1": 0.28, "pass@10": 0.44, "pass@100": 0.59},
    ("multipl-e-mbpp", "javascript"): {"pass@1": 0.28, "pass@10": 0.51, "pass@100": 0.70},
    ("infilling", "python"): {"exact match": 0.44},
    ("infilling", "java"): {"exact match": 0.62},
    ("infilling", "javascript"): {"exact match": 0.60},
    ("docstrings", "python"): {"BLEU": 0.1813},
}
# HumanEval pass@100 of Java, JavaScript and Python at temperature 0.8, for the seven ablations (tables 2 and 3)
ABLATIONS = {
    "mha": (0.36, 0.37, 0.38),
    "no-fim": (0.37, 0.37, 0.39),
    "fim": (0.35, 0.33, 0.36),
    "stars": (0.30, 0.30, 0.31),
    "fertility": (0.35, 0.35, 0.36),
    "comments": (0.35, 0.35, 0.38),
    "dedup-alt": (0.38, 0.37, 0.37),
}
TEMPERATURES = {"pass@1": 0.2, "pass@10": 0.8, "pass@100": 0.8}

# text-generation-inference's snapshot test of the published model: greedy, half precision
GOLDEN_PROMPT = "def print_hello"
GOLDEN_TEXT = '():\n    print("Hello World!")\n\nprint'
GOLDEN_LOGPROBS = (-0.986, -0.214, -0.437, -0.536, -0.446, -1.241, -0.758, -0.762, -0.208, -1.247)


def published_scores(branch: str) -> list[RevisionScore]:
    """The paper's scores of a branch of ``bigcode/santacoder``: all benchmarks for ``main``, and only HumanEval's
    pass@100 for the other experiments. Other branches have none.
    """
    if branch in ABLATIONS:
        found = dict(zip(("java", "javascript", "python"), ABLATIONS[branch], strict=True))
        scores = {("multipl-e-humaneval", language): {"pass@100": value} for language, value in found.items()}
    else:
        scores = _SCORES if branch in ("main", "final") else {}
    return [
        RevisionScore(benchmark, language, metric, value, temperature=TEMPERATURES.get(metric))
        for (benchmark, language), by_metric in scores.items()
        for metric, value in by_metric.items()
    ]


def score_table(results: Iterable[Result]) -> str:
    """A Markdown table of the published scores, our scores where available, and the differences."""
    measured = {}
    for result in results:
        for metric, score in result.scores().items():
            if TEMPERATURES.get(metric) in (None, result.settings.get("temperature")):
                measured[result.benchmark, result.language, metric] = score.value
    lines = ["| benchmark | metric | published | measured | difference |", "|---|---|---|---|---|"]
    for (benchmark, language), scores in _SCORES.items():
        for metric, published in scores.items():
            ours = measured.get((benchmark, language, metric))
            cells = "| – | – |" if ours is None else f"| {ours:.4f} | {ours - published:+.4f} |"
            lines.append(f"| {benchmark} {language} | {metric} | {published} {cells}")
    return "\n".join(lines)


def golden_table(engine: Engine) -> str:
    """The greedy continuation of a prompt whose published continuation is known, with the model's log-probabilities."""
    sampling = SamplingParams(max_new_tokens=len(GOLDEN_LOGPROBS), temperature=0)
    events = list(engine.submit(CompletionRequest(GOLDEN_PROMPT, sampling=sampling)))
    text = "".join(event.text for event in events)
    ours = [event.logprob for event in events if isinstance(event, TokenEvent)]
    differences = [abs(one - other) for one, other in zip(ours, GOLDEN_LOGPROBS, strict=False)]
    return (
        f"Continuation of {GOLDEN_PROMPT!r}\n  published: {GOLDEN_TEXT!r}\n  measured:  {text!r}"
        f" ({'identical' if text == GOLDEN_TEXT else 'different'})\n"
        f"  log-probabilities differ by at most {max(differences):.3f} nats"
    )

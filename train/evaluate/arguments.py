"""The command line of ``python -m train.evaluate``."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable

from santacoder import checkpoints
from santacoder.languages import LANGUAGES
from santacoder.paths import command_name, user_path
from train.evaluate import benchmark_commands, file_commands, result_commands
from train.evaluate.execution.verdicts import WORKERS
from train.evaluate.results import report
from train.evaluate.results.result import Result
from train.evaluate.tasks import infilling
from train.evaluate.tasks.data import default_folder

REAL_WEIGHTS = "SANTACODER_REAL_WEIGHTS"
_SAMPLES = 200  # as published

Add = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]
"""Adds the parser of a command with this name, function and help."""


def build_parser(description: str) -> argparse.ArgumentParser:
    """The parser. Its result has the function ``run``, which takes the parsed arguments."""
    parser = argparse.ArgumentParser(prog=command_name("evaluate", "python -m train.evaluate"), description=description)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], None], help_: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_)
        command.set_defaults(run=run)
        return command

    _add_benchmarks(add)
    _add_file_commands(add)
    _add_result_commands(add)
    return parser


def _add_benchmarks(add: Add) -> None:
    human_eval = add("humaneval", _measure(benchmark_commands.human_eval), "HumanEval in Python: pass@k")
    multipl_e = add(
        "multipl-e", _measure(benchmark_commands.multipl_e), "HumanEval and MBPP in several languages: pass@k"
    )
    one_line = add("infilling", _measure(benchmark_commands.single_line_infilling), "one missing line: exact match")
    repeated = add(
        "repetition",
        _measure(benchmark_commands.repeated_continuations),
        "fraction of HumanEval continuations that repeat themselves",
    )
    docstrings = add(
        "docstrings", _measure(benchmark_commands.docstring_generation), "Python docstrings: smoothed BLEU-4"
    )
    for command in (human_eval, multipl_e, one_line, repeated, docstrings):
        _add_subject_arguments(command)
        _add_data_argument(command)
    _add_order_argument(one_line)
    for command in (human_eval, multipl_e):
        _add_program_arguments(command)
    _add_suite_arguments(multipl_e)

    functions = add(
        "bodies",
        _measure(benchmark_commands.function_bodies),
        "fraction of generated bodies of held-out functions that parse",
    )
    _add_subject_arguments(functions, tasks="N functions of each language, drawn at random (default: 100)")
    functions.add_argument(
        "--held-out", type=user_path, required=True, metavar="PACKED", help="packed data whose held-out files are used"
    )


def _add_file_commands(add: Add) -> None:
    bits = add("bits-per-byte", file_commands.bits_per_byte, "bits per byte on held-out files, compared with xz -9")
    bits.add_argument("repo", help="model in the store, or a folder with its files")
    bits.add_argument("--revision", default="main", help="branch or commit (default: main)")
    bits.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")
    files = bits.add_mutually_exclusive_group(required=True)
    files.add_argument("--data", type=user_path, help="packed data of the training run (its OUTPUT/data)")
    files.add_argument("--folder", type=user_path, help="source files, scored per language")
    bits.add_argument("--limit", type=_megabytes, metavar="MB", help="sample size per language; the last file is whole")
    bits.add_argument("--output", type=user_path, help="folder for results, which can be published and compared")

    copies = add(
        "memorization", file_commands.copies, "how much a model copies or has memorized from its training files"
    )
    _add_revision_arguments(copies)
    copies.add_argument(
        "--data", type=user_path, required=True, help="packed data of the training run (its OUTPUT/data)"
    )
    copies.add_argument(
        "--index", type=user_path, required=True, help="attribution index of the training files, including their text"
    )
    copies.add_argument(
        "--prompts",
        type=_positive,
        default=200,
        help="number of prompts from training files and from held-out files (default: 200)",
    )
    copies.add_argument("--temperature", type=float, nargs="+", default=[0, 0.2, 0.8], help="default: 0 0.2 0.8")
    copies.add_argument(
        "--max-new-tokens",
        type=_positive,
        default=256,
        help="maximum length of a text in tokens, at least 50 (default: 256)",
    )
    copies.add_argument("--seed", type=int, default=0, help="seed of prompts and sampling (default: 0)")
    copies.add_argument("--plot", type=user_path, help="chart of the lengths of copied runs: .png, .svg or .pdf")
    copies.add_argument("--output", type=user_path, help="folder for results, which can be published and compared")


def _add_result_commands(add: Add) -> None:
    paper = add(
        "published",
        result_commands.everything_published,
        "measure everything that the SantaCoder paper reports, and compare",
    )
    _add_subject_arguments(paper, repo=os.environ.get(REAL_WEIGHTS, "bigcode/santacoder"))
    _add_data_argument(paper)
    _add_program_arguments(paper)
    _add_suite_arguments(paper)
    paper.set_defaults(order=["psm"])  # the paper's order

    of_two = add(
        "compare", result_commands.compare_models, "compare two models on the same tasks, with confidence intervals"
    )
    of_two.add_argument("a", help="a folder of results, or a revision with scores: org/name@revision")
    of_two.add_argument("b", help="likewise for the other model")
    of_two.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")

    chart = add("plot", result_commands.plot_scores, "draw a chart of the scores of one or more models")
    chart.add_argument("models", nargs="+", help="folders of results, or revisions with scores")
    chart.add_argument("--output", type=user_path, required=True, help="output file: .png, .svg or .pdf")
    chart.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")

    publish = add("publish", result_commands.publish_results, "add results to the branch they were measured on")
    publish.add_argument("repo", help="model in the store")
    publish.add_argument("results", type=user_path, nargs="+", help="folders of results")
    publish.add_argument("--branch", default="main", help="default: main")
    publish.add_argument(
        "--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models"
    )


def _measure(benchmark: Callable[[argparse.Namespace], list[Result]]) -> Callable[[argparse.Namespace], None]:
    return lambda args: print(report.table(benchmark(args)))


def _add_revision_arguments(parser: argparse.ArgumentParser, *, repo: str | None = None) -> None:
    """Add options for the revision (``repo`` if omitted) and how to run it."""
    parser.add_argument(
        "repo",
        nargs="?" if repo else None,
        default=repo,
        help="model in the store, the cache or on the Hub, or a folder with its files"
        + (f" (default: {repo})" if repo else ""),
    )
    parser.add_argument("--revision", default="main", help="branch or commit (default: main)")
    parser.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: a GPU if available")
    parser.add_argument(
        "--runner",
        choices=["auto", "torch", "onnx"],
        default="torch",
        help="default: torch, the original weights; auto uses the fastest graph, which may be quantized",
    )


def _add_subject_arguments(
    parser: argparse.ArgumentParser, *, repo: str | None = None, tasks: str = "only the first N tasks of each benchmark"
) -> None:
    """Add options for the revision (``repo`` if omitted), the tasks and the output."""
    _add_revision_arguments(parser, repo=repo)
    parser.add_argument("--output", type=user_path, help="folder of the runs (default: runs/evaluate/MODEL-COMMIT)")
    parser.add_argument("--tasks", type=_positive, metavar="N", help=tasks)
    parser.add_argument("--seed", type=int, default=0, help="sampling seed (default: 0)")


def _add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add an option for the folder of the benchmarks."""
    parser.add_argument(
        "--data",
        type=user_path,
        default=default_folder(),
        help="folder of the benchmarks' files (default: SANTACODER_EVAL_DATA; the Hub for missing files)",
    )


def _add_program_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options for sampling and running programs."""
    parser.add_argument("--samples", type=_positive, default=_SAMPLES, help="samples per task (default: %(default)s)")
    parser.add_argument(
        "--temperature",
        type=float,
        nargs="+",
        default=[0.2, 0.8],
        help="default: 0.2 0.8, as published: pass@1 at the first, pass@10 and pass@100 at the second",
    )
    parser.add_argument(
        "--max-new-tokens", type=_positive, default=512, help="maximum length of a sample in tokens (default: 512)"
    )
    parser.add_argument(
        "--workers", type=_positive, default=WORKERS, help="number of programs to run in parallel (default: all cores)"
    )
    parser.add_argument("--unsafe", action="store_true", help="run programs without a sandbox, as the current user")


def _add_order_argument(parser: argparse.ArgumentParser) -> None:
    """Add an option for the order of prefix and suffix."""
    parser.add_argument(
        "--order",
        choices=list(infilling.BENCHMARKS),
        nargs="+",
        default=list(infilling.BENCHMARKS),
        help="prefix first or suffix first (default: both)",
    )


def _add_suite_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options for the parts of MultiPL-E."""
    parser.add_argument("--suite", choices=["humaneval", "mbpp"], nargs="+", default=["humaneval", "mbpp"])
    parser.add_argument("--language", choices=LANGUAGES, nargs="+", default=list(LANGUAGES))


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 1 <= value * 1e6 < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of megabytes, of at least one byte")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)

"""Evaluate a revision on benchmarks."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from santacoder import checkpoints
from santacoder.attribution import Shards
from santacoder.errors import AttributionError
from santacoder.paths import command_name, user_path
from santacoder.sampling import SamplingParams
from train.evaluate import benchmark_commands
from train.evaluate.execution.programs.missing import MissingProgram
from train.evaluate.execution.sandbox import SandboxUnavailable
from train.evaluate.results import memorization_report, plots, published, report
from train.evaluate.results.compare import compare, results_of
from train.evaluate.results.result import Result, environment, read_results
from train.evaluate.run_folder import RESULT_FILE
from train.evaluate.tasks import memorization
from train.evaluate.tasks.bits_per_byte import drawn, held_out_documents, in_folder
from train.evaluate.tasks.bits_per_byte import measure as measure_bits
from train.evaluate.tasks.data import DataUnavailable

REAL_WEIGHTS = "SANTACODER_REAL_WEIGHTS"


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 2 if something cannot be used, 130 if interrupted."""
    args = _parser().parse_args(arguments)
    problems = (ValueError, OSError, RuntimeError, checkpoints.CheckpointError, AttributionError)
    try:
        args.run(args)
    except (*problems, DataUnavailable, MissingProgram, SandboxUnavailable) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. Finished work is kept: run the same command again to continue.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=command_name("evaluate", "python -m train.evaluate"), description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], None], help_: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_)
        command.set_defaults(run=run)
        return command

    human_eval = add("humaneval", _measure(benchmark_commands.human_eval), "HumanEval in Python: pass@k")
    multipl_e = add(
        "multipl-e", _measure(benchmark_commands.multipl_e), "HumanEval and MBPP in several languages: pass@k"
    )
    infilling = add("infilling", _measure(benchmark_commands.single_line_infilling), "one missing line: exact match")
    repeated = add(
        "repetition",
        _measure(benchmark_commands.repeated_continuations),
        "fraction of HumanEval continuations that repeat themselves",
    )
    docstrings = add(
        "docstrings", _measure(benchmark_commands.docstring_generation), "Python docstrings: smoothed BLEU-4"
    )
    for command in (human_eval, multipl_e, infilling, repeated, docstrings):
        benchmark_commands.add_subject_arguments(command)
    benchmark_commands.add_order_argument(infilling)
    for command in (human_eval, multipl_e):
        benchmark_commands.add_program_arguments(command)
    benchmark_commands.add_suite_arguments(multipl_e)

    functions = add(
        "bodies",
        _measure(benchmark_commands.function_bodies),
        "fraction of generated bodies of held-out functions that parse",
    )
    benchmark_commands.add_subject_arguments(functions)
    functions.add_argument(
        "--held-out", type=user_path, required=True, metavar="PACKED", help="packed data whose held-out files are used"
    )

    bits = add("bits-per-byte", _bits_per_byte, "bits per byte on held-out files, compared with xz -9")
    bits.add_argument("repo", help="model in the store, or a folder with its files")
    bits.add_argument("--revision", default="main", help="branch or commit (default: main)")
    bits.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")
    files = bits.add_mutually_exclusive_group(required=True)
    files.add_argument("--data", type=user_path, help="packed data of the training run (its OUTPUT/data)")
    files.add_argument("--folder", type=user_path, help="source files, scored per language")
    bits.add_argument("--limit", type=float, metavar="MB", help="sample size per language")
    bits.add_argument("--output", type=user_path, help="folder for results, which can be published and compared")

    copies = add("memorization", _memorization, "how much a model copies or has memorized from its training files")
    benchmark_commands.add_revision_arguments(copies)
    copies.add_argument(
        "--data", type=user_path, required=True, help="packed data of the training run (its OUTPUT/data)"
    )
    copies.add_argument(
        "--index", type=user_path, required=True, help="attribution index of the training files, including their text"
    )
    copies.add_argument(
        "--prompts",
        type=benchmark_commands.positive,
        default=200,
        help="number of prompts from training files and from held-out files (default: 200)",
    )
    copies.add_argument("--temperature", type=float, nargs="+", default=[0, 0.2, 0.8], help="default: 0 0.2 0.8")
    copies.add_argument(
        "--max-new-tokens",
        type=benchmark_commands.positive,
        default=256,
        help="maximum length of a text in tokens (default: 256)",
    )
    copies.add_argument("--seed", type=int, default=0, help="seed of prompts and sampling (default: 0)")
    copies.add_argument("--plot", type=user_path, help="chart of the lengths of copied runs: .png, .svg or .pdf")
    copies.add_argument("--output", type=user_path, help="folder for results, which can be published and compared")

    paper = add("published", _published, "measure everything that the SantaCoder paper reports, and compare")
    benchmark_commands.add_subject_arguments(paper, repo=os.environ.get(REAL_WEIGHTS, "bigcode/santacoder"))
    benchmark_commands.add_program_arguments(paper)
    benchmark_commands.add_suite_arguments(paper)
    paper.set_defaults(order=["psm"])  # the paper's order

    of_two = add("compare", _compare, "compare two models on the same tasks, with confidence intervals")
    of_two.add_argument("a", help="a folder of results, or a revision with scores: org/name@revision")
    of_two.add_argument("b", help="likewise for the other model")
    of_two.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")

    chart = add("plot", _plot, "draw a chart of the scores of one or more models")
    chart.add_argument("models", nargs="+", help="folders of results, or revisions with scores")
    chart.add_argument("--output", type=user_path, required=True, help="output file: .png, .svg or .pdf")
    chart.add_argument("--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models")

    publish = add("publish", _publish, "add results to the branch they were measured on")
    publish.add_argument("repo", help="model in the store")
    publish.add_argument("results", type=user_path, nargs="+", help="folders of results")
    publish.add_argument("--branch", default="main", help="default: main")
    publish.add_argument(
        "--store", type=user_path, default=checkpoints.DEFAULT_STORE, help="folder of published models"
    )
    return parser


def _measure(benchmark: Callable[[argparse.Namespace], list[Result]]) -> Callable[[argparse.Namespace], None]:
    return lambda args: print(report.table(benchmark(args)))


def _bits_per_byte(args: argparse.Namespace) -> None:
    is_folder = user_path(args.repo).is_dir()
    snapshot = Path(args.repo) if is_folder else checkpoints.resolve(args.repo, args.revision, store=args.store)
    model, tokenizer = checkpoints.load(snapshot)
    documents = in_folder(args.folder) if args.folder else held_out_documents(args.data)
    if args.limit:
        documents = {language: drawn(files, int(args.limit * 1e6)) for language, files in documents.items()}
    for language, of_language in documents.items():
        score = measure_bits(model, tokenizer, of_language)
        described = {
            "model": f"{args.repo}@{args.revision}",
            "language": language,
            "files": len(of_language),
            "bytes": score.n_bytes,
            "bits_per_byte": round(score.model, 4),
            "xz_bits_per_byte": round(score.xz, 4),
            "ratio": round(score.ratio, 4),
        }
        print(json.dumps(described, indent=1))
        if args.output:
            tasks = {"all files": (1, score.model)}
            sha, used = snapshot.resolve().name, environment("torch", "bf16", "cpu")
            settings = {**described, "sha256": hashlib.sha256(b"".join(of_language)).hexdigest()}
            result = Result("bits-per-byte", language, args.repo, args.revision, sha, settings, used, tasks)
            result.write(args.output / f"bits-per-byte-{language}" / RESULT_FILE)


def _memorization(args: argparse.Namespace) -> None:
    index = Shards(args.index)
    guaranteed = index.searched.guaranteed_tokens
    lengths = sorted({args.max_new_tokens // 4, args.max_new_tokens // 2, args.max_new_tokens} - {0})
    with benchmark_commands.open_subject(args) as subject:
        runs: dict[tuple[memorization.Split, float], list[memorization.Written]] = {}
        for split in memorization.SPLITS:
            asked = memorization.excerpts(args.data, split, args.prompts, args.seed)
            for temperature in args.temperature:
                sampling = SamplingParams(args.max_new_tokens, temperature, top_p=0.95, seed=args.seed)
                runs[split, temperature] = memorization.write_on(subject.engine, index, asked, sampling)
    tokenizer = subject.engine.tokenizer
    by_length = {
        length: {key: [memorization.cut(one, index, tokenizer, length) for one in of] for key, of in runs.items()}
        for length in lengths
    }
    tables = [
        memorization_report.copied_table(runs, guaranteed),
        memorization_report.length_table(by_length),
        memorization_report.by_heart_table(runs),
    ]
    print("\n\n".join(tables))
    if args.plot:
        memorization_report.plot(runs, guaranteed, args.plot)
    if args.output:
        settings = {"max_new_tokens": args.max_new_tokens, "seed": args.seed, "guaranteed": guaranteed}
        for result in memorization_report.results(subject, runs, **settings):
            result.write(args.output / result.name.replace(" ", "-") / RESULT_FILE)


def _published(args: argparse.Namespace) -> None:
    with benchmark_commands.open_subject(args) as subject:
        print(published.golden_table(subject.engine))
    results = [*benchmark_commands.multipl_e(args), *benchmark_commands.single_line_infilling(args)]
    try:
        results += benchmark_commands.docstring_generation(args)
    except DataUnavailable as error:
        print(f"Docstrings are skipped: {error}", file=sys.stderr)
    print(published.score_table(results))


def _compare(args: argparse.Namespace) -> None:
    differences = compare(results_of(args.a, args.store), results_of(args.b, args.store))
    print(f"A: {args.a}\nB: {args.b}\n\n{report.difference_table(differences)}")


def _plot(args: argparse.Namespace) -> None:
    plots.plot({model: results_of(model, args.store) for model in args.models}, args.output)
    print(args.output)


def _publish(args: argparse.Namespace) -> None:
    results = [result for path in args.results for result in read_results(path)]
    sha = report.publish_scores(args.repo, args.branch, results, store=args.store)
    print(f"{args.repo}@{args.branch} is now {sha}")


if __name__ == "__main__":
    sys.exit(main())

"""The commands that compare, draw and publish results."""

from __future__ import annotations

import argparse
import sys

from train.evaluate import benchmark_commands
from train.evaluate.results import plots, published, report
from train.evaluate.results.compare import compare, results_of
from train.evaluate.results.result import read_results
from train.evaluate.tasks.data import DataUnavailable


def everything_published(args: argparse.Namespace) -> None:
    """Everything that the SantaCoder paper reports, beside its figures."""
    with benchmark_commands.open_subject(args) as subject:
        print(published.golden_table(subject.engine))
    results = [*benchmark_commands.multipl_e(args), *benchmark_commands.single_line_infilling(args)]
    try:
        results += benchmark_commands.docstring_generation(args)
    except DataUnavailable as error:
        print(f"Docstrings are skipped: {error}", file=sys.stderr)
    print(published.score_table(results))


def compare_models(args: argparse.Namespace) -> None:
    """Two models on the same tasks."""
    differences = compare(results_of(args.a, args.store), results_of(args.b, args.store))
    print(f"A: {args.a}\nB: {args.b}\n\n{report.difference_table(differences)}")


def plot_scores(args: argparse.Namespace) -> None:
    """A chart of the scores of models."""
    plots.plot({model: results_of(model, args.store) for model in args.models}, args.output)
    print(args.output)


def publish_results(args: argparse.Namespace) -> None:
    """Results become part of the branch they were measured on."""
    results = [result for path in args.results for result in read_results(path)]
    sha = report.publish_scores(args.repo, args.branch, results, store=args.store)
    print(f"{args.repo}@{args.branch} is now {sha}")

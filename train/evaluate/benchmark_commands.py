"""The commands that measure a revision with the benchmarks of others and with generated bodies."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from santacoder import checkpoints
from santacoder.checkpoints.publishing import content_sha
from santacoder.engine.loader import choose_device, open_engine
from santacoder.languages import LANGUAGES, Language
from santacoder.paths import user_path
from santacoder.sampling import SamplingParams
from train.evaluate.benchmarks import run_programs, run_texts
from train.evaluate.execution.programs.parse import parse
from train.evaluate.execution.sandbox import NoSandbox, Sandbox
from train.evaluate.execution.verdicts import judge
from train.evaluate.generate import Prompt
from train.evaluate.results.result import Result, Subject
from train.evaluate.run_folder import RESULT_FILE
from train.evaluate.tasks import bodies, docstrings, infilling, programming, repetition
from train.evaluate.tasks.bits_per_byte import held_out_documents
from train.evaluate.tasks.bodies import Header
from train.evaluate.tasks.infilling import Gap
from train.evaluate.tasks.programming import Task

# concurrent samples
_N_SLOTS = 32
_N_BODIES = 100

Programs = list[tuple[str, list[Task]]]
"""Pairs of a benchmark's name and its tasks, which are all in one language."""


def human_eval(args: argparse.Namespace) -> list[Result]:
    """HumanEval in the original version."""
    return _run_programs(args, [("humaneval", programming.human_eval(args.data))])


def multipl_e(args: argparse.Namespace) -> list[Result]:
    """HumanEval and MBPP, translated to other languages."""
    return _run_programs(
        args,
        [
            (f"multipl-e-{suite}", programming.multipl_e(suite, language, args.data))
            for suite in args.suite
            for language in args.language
        ],
    )


def single_line_infilling(args: argparse.Namespace) -> list[Result]:
    """Exact match by order and language, and the same without lines that are only brackets."""
    gaps = infilling.gaps(args.data)
    languages = [language for language in LANGUAGES if any(gap.language == language for gap in gaps)]
    if len(languages) < len(LANGUAGES):
        print(f"The infilling benchmark has tasks only in {' and '.join(languages) or 'no language'}.", file=sys.stderr)
    results = []
    with open_subject(args) as subject:
        for order in args.order:
            benchmark = infilling.BENCHMARKS[order]
            for language in languages:
                of_language = sorted((gap for gap in gaps if gap.language == language), key=lambda gap: gap.name)
                chosen = {gap.name: gap for gap in of_language[: args.tasks]}
                folder = _output(args, subject) / f"{benchmark}-{language}"
                result = run_texts(
                    subject,
                    benchmark,
                    language,
                    [gap.prompt(order) for gap in chosen.values()],
                    partial(_lines_matched, chosen),
                    replace(infilling.SAMPLING, seed=args.seed),
                    folder,
                )
                with_words = {name: score for name, score in result.tasks.items() if chosen[name].has_words}
                without = replace(result, benchmark=f"{benchmark}{infilling.WITHOUT_BRACKETS}", tasks=with_words)
                results.append(result)
                if with_words:
                    without.write(folder / "without-brackets" / RESULT_FILE)
                    results.append(without)
    return results


def repeated_continuations(args: argparse.Namespace) -> list[Result]:
    """The fractions of continuations of HumanEval's prompts that repeat themselves and that are empty."""
    prompts = [
        Prompt(task.name, task.prompt) for task in programming.first(programming.human_eval(args.data), args.tasks)
    ]
    texts: dict[str, str] = {}

    def score(written: dict[str, str]) -> dict[str, float]:
        texts.update(written)
        return {name: float(repetition.repeats_itself(text)) for name, text in written.items()}

    with open_subject(args) as subject:
        folder = _output(args, subject) / "repetition-python"
        sampling = replace(repetition.SAMPLING, seed=args.seed)
        repeated = run_texts(subject, "repetition", "python", prompts, score, sampling, folder)
    of_empty = {name: (1, float(repetition.is_empty(text))) for name, text in texts.items()}
    empty = replace(repeated, benchmark="empty", tasks=dict(sorted(of_empty.items())))
    empty.write(folder / "empty" / RESULT_FILE)
    return [repeated, empty]


def docstring_generation(args: argparse.Namespace) -> list[Result]:
    """Smoothed BLEU-4 of Python docstrings."""
    functions = {function.name: function for function in docstrings.functions(args.data)[: args.tasks]}
    with open_subject(args) as subject:
        return [
            run_texts(
                subject,
                "docstrings",
                "python",
                [function.prompt for function in functions.values()],
                lambda texts: {name: docstrings.score(functions[name], text) for name, text in texts.items()},
                replace(docstrings.SAMPLING, seed=args.seed),
                _output(args, subject) / "docstrings-python",
            )
        ]


def function_bodies(args: argparse.Namespace) -> list[Result]:
    """The fraction of generated bodies of held-out functions that parse, by language."""
    results = []
    with open_subject(args) as subject:
        for language, documents in held_out_documents(args.held_out).items():
            texts = [document.decode("utf-8") for document in documents]
            asked = {header.name: header for header in bodies.headers(texts, language, args.tasks or _N_BODIES)}
            if asked:
                results.append(
                    run_texts(
                        subject,
                        "bodies",
                        language,
                        [header.prompt for header in asked.values()],
                        partial(_bodies_parsed, asked, language),
                        bodies.SAMPLING,
                        _output(args, subject) / f"bodies-{language}",
                    )
                )
    return results


@contextmanager
def open_subject(args: argparse.Namespace) -> Iterator[Subject]:
    """Open an engine for the revision of ``args``; it is closed, and its weights are freed, at the end of the block.

    Raises:
        CheckpointError: the revision, device or graph does not exist.
    """
    snapshot, sha = measured_snapshot(args)
    device = choose_device(args.device)
    engine, notices = open_engine(snapshot, device=device, runner=args.runner, n_slots=_N_SLOTS)
    for notice in notices:
        print(notice, file=sys.stderr)
    try:
        yield Subject(args.repo, args.revision, sha, engine)
    finally:
        engine.close()
        engine.runner.close()  # a caller may keep the subject while another is opened


def measured_snapshot(args: argparse.Namespace) -> tuple[Path, str]:
    """The snapshot of ``args``, which names a revision or a folder, and what identifies its weights: the commit, or a
    digest of the folder's files.

    Raises:
        CheckpointError: the revision does not exist.
    """
    folder = user_path(args.repo)
    if not folder.is_dir():
        snapshot = checkpoints.resolve(args.repo, args.revision, store=args.store)
        return snapshot, snapshot.name
    return folder, content_sha(folder)


def _run_programs(args: argparse.Namespace, programs: Programs) -> list[Result]:
    sandbox = NoSandbox() if args.unsafe else Sandbox()
    results = []
    with judge(sandbox, args.workers) as the_judge:
        for _, of_one_language in programs:
            the_judge.require(of_one_language[0].language)  # a missing compiler is reported before hours of generation
        with open_subject(args) as subject:
            for benchmark, all_tasks in programs:
                chosen = programming.first(all_tasks, args.tasks)
                for temperature in args.temperature:
                    sampling = SamplingParams(args.max_new_tokens, temperature, top_p=0.95, seed=args.seed)
                    name = f"{benchmark}-{chosen[0].language}-t{temperature}"
                    folder = _output(args, subject) / name
                    print(f"{name}: {len(chosen)} tasks, {args.samples} samples each, into {folder}")
                    results.append(run_programs(subject, benchmark, chosen, sampling, args.samples, the_judge, folder))
    return results


def _lines_matched(gaps: dict[str, Gap], completions: dict[str, str]) -> dict[str, float]:
    return {name: float(infilling.matches(gaps[name], text)) for name, text in completions.items()}


def _bodies_parsed(asked: dict[str, Header], language: Language, completions: dict[str, str]) -> dict[str, float]:
    sources = [bodies.function(asked[name], text) for name, text in completions.items()]
    return {name: float(right) for name, right in zip(completions, parse(language, sources), strict=True)}


def _output(args: argparse.Namespace, subject: Subject) -> Path:
    if args.output is not None:
        return args.output
    return Path("runs") / "evaluate" / f"{Path(subject.model).name}-{subject.sha[:8]}"

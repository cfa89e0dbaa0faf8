"""Running a benchmark: generation, scoring and the result."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from santacoder.sampling import SamplingParams
from train.evaluate.execution.verdicts import Judge
from train.evaluate.generate import Prompt, generate
from train.evaluate.results.result import Result, Subject, Tasks
from train.evaluate.run_folder import RESULT_FILE, RunFolder, run_folder
from train.evaluate.tasks.programming import Task


def run_programs(
    subject: Subject,
    benchmark: str,
    tasks: Sequence[Task],
    sampling: SamplingParams,
    n_samples: int,
    judge: Judge,
    folder: Path,
) -> Result:
    """Complete ``tasks``, run the programs and write the result. A run interrupted in ``folder`` is continued.

    Args:
        subject: the revision to evaluate.
        benchmark: name of the benchmark.
        tasks: the tasks, all in one language.
        sampling: sampling parameters.
        n_samples: completions per task.
        judge: runs the programs.
        folder: folder of the run.

    Raises:
        UserError: ``folder`` has a run with other settings.
        RuntimeError: the model could not be run.
        MissingProgram: the language cannot be run on this machine.
    """
    language = tasks[0].language
    environment = {**subject.environment, language: judge.require(language), "isolation": judge.isolation}
    prompts = [Prompt(task.name, task.prompt, stop=task.stop) for task in tasks]
    settings = _settings(subject, benchmark, language, prompts, sampling, n_samples)
    with run_folder(folder, settings) as run:
        completions = generate(subject.engine, prompts, n_samples, sampling, run.samples)
        passed: Tasks = _judge(tasks, completions, judge, run)
        return _finish(subject, benchmark, language, settings, environment, passed, folder)


def run_texts(
    subject: Subject,
    benchmark: str,
    language: str,
    prompts: Sequence[Prompt],
    score: Callable[[dict[str, str]], dict[str, float]],
    sampling: SamplingParams,
    folder: Path,
) -> Result:
    """Complete ``prompts`` once each, score the completions and write the result.

    Args:
        subject: the revision to evaluate.
        benchmark: name of the benchmark.
        language: language of the prompts.
        prompts: the prompts, with unique names.
        score: maps completions by name to scores between 0 and 1 by name.
        sampling: sampling parameters.
        folder: folder of the run.

    Raises:
        UserError: ``folder`` has a run with other settings.
        RuntimeError: the model could not be run.
    """
    settings = _settings(subject, benchmark, language, prompts, sampling, 1)
    with run_folder(folder, settings) as run:
        completions = generate(subject.engine, prompts, 1, sampling, run.samples)
        scores = score({name: text for (name, _), text in completions.items()})
        tasks = {name: (1, value) for name, value in scores.items()}
        return _finish(subject, benchmark, language, settings, subject.environment, tasks, folder)


def _judge(tasks: Sequence[Task], completions: dict[tuple[str, int], str], judge: Judge, run: RunFolder) -> Tasks:
    """The numbers of samples and of passed samples, by task. Identical programs are run once."""
    results = {(entry["task"], entry["sample"]): entry["result"] for entry in run.verdicts.entries}
    same = defaultdict(list)
    for (name, number), text in completions.items():
        if (name, number) not in results:
            same[name, text].append(number)
    by_name = {task.name: task for task in tasks}
    programs = (((name, text), by_name[name].language, by_name[name].program(text)) for name, text in same)
    with tqdm(total=len(completions), initial=len(results), desc="running programs", unit=" samples") as bar:
        for (name, text), verdict in judge.verdicts(programs, tasks[0].seconds):
            for number in same[name, text]:
                run.verdicts.append({"task": name, "sample": number, "result": verdict.result})
                results[name, number] = verdict.result
                bar.update()
    counted: Tasks = {}
    for (name, _), result in sorted(results.items()):
        n, c = counted.get(name, (0, 0.0))
        counted[name] = (n + 1, c + (result == "passed"))
    return counted


def _settings(
    subject: Subject,
    benchmark: str,
    language: str,
    prompts: Sequence[Prompt],
    sampling: SamplingParams,
    n_samples: int,
) -> dict[str, Any]:
    """The settings that completions depend on; ``tasks`` is a digest of all prompts."""
    digest = hashlib.sha256(repr(prompts).encode("utf-8", "surrogatepass")).hexdigest()
    chosen = {key: value for key, value in asdict(sampling).items() if key not in ("stop", "top_logprobs")}
    return {
        "benchmark": benchmark,
        "language": language,
        "model": subject.model,
        "sha": subject.sha,
        "runner": subject.engine.runner.name,
        "precision": subject.engine.runner.precision,
        "n_tasks": len(prompts),
        "tasks": digest,
        "n_samples": n_samples,
        **chosen,
    }


def _finish(
    subject: Subject,
    benchmark: str,
    language: str,
    settings: dict[str, Any],
    environment: dict[str, Any],
    tasks: Tasks,
    folder: Path,
) -> Result:
    """Write the result of a finished run, and return it.

    Args:
        subject: the model.
        benchmark: the name of the benchmark.
        language: the language of its tasks.
        settings: the run's settings.
        environment: the versions and the machine.
        tasks: the results by the name of the task.
        folder: where the result is written.
    """
    result = Result(
        benchmark,
        language,
        subject.model,
        subject.revision,
        subject.sha,
        settings,
        environment,
        dict(sorted(tasks.items())),
    )
    result.write(folder / RESULT_FILE)
    return result

"""Lines of code that no model has read, filled in with nothing, with context from the project, tuned, and with both.

    python -m benchmarks.own_code [--packages jinja2 typer websockets] [--lines 100] [--steps N] [--no-tuning]

The packages are held out of all training data (train/embedded/presets.py) and installed here as dependencies. Each is
tuned to as ``santacoder tune`` does; the lines are of the files that it holds out. A line is asked for as the language
server does (app/lsp/suggestions.py) with the cursor behind its indentation, and counts if the first line of the
suggestion is the missing one, up to white space. With context, the index has the whole package except the missing
line. "tuned" is the model as published, or the model before if tuning made it no better. Prints a Markdown table with
95 % Wilson intervals; each row when it is known. "bits per byte" are of the held-out files as plain text, before the
tuning and after.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from lsprotocol import types

from app.lsp.documents import Document, Documents
from app.lsp.editor_settings import EditorSettings
from app.lsp.engine_inside import EngineInside
from app.lsp.related_code import RelatedCode
from app.lsp.suggestions import Code, infill_body
from app.project.project_index import ProjectIndex
from app.settings import Settings
from app.training_jobs import Jobs
from app.training_request import JobRequest, training_command
from app.tune.__main__ import tuning_request
from app.tune.progress import follow
from app.tune.tuned_graph import add_graph
from santacoder.checkpoints.store import repo_folder
from train.data.pack import load_packed
from train.evaluate.results.estimators import wilson_interval
from train.run.folder import RunFolder

_WAYS = ("nothing", "context", "tuned", "both")


@dataclass(frozen=True)
class Line:
    """A line of a file: its number, its text without the indentation, and the file's lines."""

    path: Path
    lines: Sequence[str]
    number: int

    @property
    def missing(self) -> str:
        return self.lines[self.number].strip()

    @property
    def indentation(self) -> str:
        line = self.lines[self.number]
        return line[: len(line) - len(line.lstrip())]

    @property
    def document(self) -> str:
        return "".join([*self.lines[: self.number], f"{self.indentation}\n", *self.lines[self.number + 1 :]])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="+", default=["jinja2", "typer", "websockets"])
    parser.add_argument("--lines", type=int, default=100, help="held-out lines of each package (default: 100)")
    parser.add_argument("--steps", type=int, help="length of the training (default: as santacoder tune)")
    parser.add_argument("--no-tuning", action="store_true", help="only with nothing and with context")
    parser.add_argument("--model", default="santacoder/mini")
    args = parser.parse_args(arguments)
    ways = _WAYS[:2] if args.no_tuning else _WAYS
    columns = ("package", "lines", *ways, "published", "bits per byte", "tuning, s")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    totals = dict.fromkeys(ways, 0)
    n = 0
    for name in args.packages:
        with TemporaryDirectory() as folder:
            settings = _settings(args.model, Path(folder) / "store")
            package = _package(name)
            request = tuning_request(package, args.steps, settings)
            jobs = Jobs(Path(folder) / "runs", settings.store)
            started = time.monotonic()
            if args.no_tuning:
                run, tuned, bits = _prepared(request, Path(folder) / "run", settings.store), False, "–"
            else:
                job = _tuned(jobs, request)
                run, tuned = Path(folder) / "runs" / job, jobs.job(job).commit != ""
                bits = " to ".join(
                    f"{record['bits_per_byte']:.3f}" for record in jobs.metrics(job) if "bits_per_byte" in record
                )
                problem = add_graph(request.repo_id, request.branch, settings.store) if tuned else ""
                print(problem, end="", file=sys.stderr)
            seconds = time.monotonic() - started
            held_out = _lines(package, run, args.lines)
            base = asyncio.run(_counts(held_out, EngineInside(settings), package))
            after = asyncio.run(_counts(held_out, EngineInside(settings, package), package)) if tuned else base
        counts = dict(zip(ways, (*base, *after), strict=False))
        totals = {way: totals[way] + counts[way] for way in ways}
        n += len(held_out)
        said = "–" if args.no_tuning else "yes" if tuned else "no"
        print(
            f"| {name} | {len(held_out)} | {_row(counts, len(held_out))} | {said} | {bits} | {seconds:.0f} |",
            flush=True,
        )
    print(f"| all | {n} | {_row(totals, n)} | | | |")


def _settings(model: str, store: Path) -> Settings:
    """A store of its own, into which nothing of the real one is copied."""
    settings = Settings(model=model)
    store.mkdir()
    source = repo_folder(model, settings.store)
    (store / source.name).symlink_to(source.resolve())
    return settings.model_copy(update={"store": store})


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"There is no package {name} in this environment.")
    return Path(found.submodule_search_locations[0])


def _prepared(request: JobRequest, run: Path, store: Path) -> Path:
    """The folder of a run that has only chosen what to hold out."""
    run.mkdir()
    subprocess.run([*training_command(request, run, store), "--prepare"], check=True, capture_output=True)
    return run


def _tuned(jobs: Jobs, request: JobRequest) -> str:
    """The name of the job, when it has ended."""
    name = jobs.start(request)
    job = follow(jobs, name)
    if job.state != "finished":
        raise SystemExit(job.message)
    return name


def _lines(package: Path, run: Path, count: int) -> list[Line]:
    """Lines with a letter or digit of the files that the run has held out."""
    names = [unit.name for unit in load_packed(RunFolder(run).data).packages if unit.split == "validation"]
    found = []
    for name in sorted(names):
        path = package / name.split(": ", 1)[1]
        lines = path.read_text("utf-8").splitlines(keepends=True)
        found += [Line(path, lines, number) for number, line in enumerate(lines) if len(line.strip()) > 3]
    random.Random(0).shuffle(found)
    return found[:count]


async def _counts(lines: list[Line], engine: EngineInside, package: Path) -> tuple[int, int]:
    """How many of ``lines`` the model fills in without context, and with it."""
    index = ProjectIndex(package)
    index.scan()
    right = [0, 0]
    for line in lines:
        index.changed(line.path, lambda line=line: line.document.splitlines(keepends=True))  # type: ignore[misc]
        index.take_changes()
        for with_context, project in enumerate((None, index)):
            right[with_context] += await _written(line, engine, project) == line.missing
        index.changed(line.path, lambda line=line: list(line.lines))  # type: ignore[misc]
        index.take_changes()
    return right[0], right[1]


async def _written(line: Line, engine: EngineInside, project: ProjectIndex | None) -> str:
    documents = Documents()
    item = types.TextDocumentItem(line.path.as_uri(), "python", 1, line.document)
    documents.open(item, types.PositionEncodingKind.Utf32)
    document = documents.get(item.uri)
    assert isinstance(document, Document)
    column = len(line.indentation)
    settings = EditorSettings(min_logprob=None)
    code = Code(document, line.number, column, column, "")
    related = RelatedCode(documents, project)
    body = infill_body(code, settings, related, await engine.n_positions(), invoked=False)
    answer = await engine.suggest(body)
    return answer.texts[0].strip().split("\n")[0].strip()


def _row(counts: dict[str, int], n: int) -> str:
    return " | ".join(_share(count, n) for count in counts.values())


def _share(count: int, n: int) -> str:
    if not n:
        return "–"
    low, high = wilson_interval(count, n)
    return f"{count / n:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()

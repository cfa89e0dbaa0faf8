"""The examples of the site of static files: those of the server's page, which the site's graph completes as well."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.generation.records import MARK, Pane
from app.ui.code_pane.example_code import presets
from export.graph import write_graph
from export.precisions import PRECISIONS
from export.web_runner import WebRunner
from santacoder import checkpoints
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import Engine
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.request import CompletionRequest
from santacoder.engine.token_healing import is_on_by_default
from santacoder.languages import LANGUAGES, Language
from santacoder.sampling import SamplingParams
from tests.app.ui.code_pane.test_examples import AUTHORS
from tests.conftest import REPOSITORY

PANES: tuple[Pane, ...] = ("complete", "infill")


def first_example(pane: Pane, language: Language) -> str:
    return next(iter(presets(pane, language).values()))


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_they_are_the_first_examples_of_the_page() -> None:
    module = (REPOSITORY / "web" / "page" / "examples.js").as_uri()
    shown = f"[{json.dumps(PANES)}, {json.dumps(LANGUAGES)}]"
    script = f"""
        const [panes, languages] = {shown};
        const {{ exampleOf }} = await import("{module}");
        const examples = panes.map((pane) => languages.map((language) => exampleOf(pane, language)));
        console.log(JSON.stringify(examples));
    """
    command = ["node", "--input-type=module", "--eval", script]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found == [[first_example(pane, language) for language in LANGUAGES] for pane in PANES]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded model in the graph for browsers."""
    snapshot = checkpoints.resolve("santacoder/mini", "main", download=False)
    stored = checkpoints.open_stored(snapshot)
    graph = tmp_path_factory.mktemp("site") / "model.onnx"
    write_graph(graph, stored.config, lambda name: stored.read(name).numpy(), PRECISIONS["web"])
    engine = Engine(WebRunner(Path(graph), stored.config), checkpoints.read_tokenizer(snapshot))
    engine.fim_order = checkpoints.read_fim_order(snapshot)
    yield engine
    engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("pane,language", AUTHORS)
def test_the_site_writes_what_the_author_wrote(engine: Engine, pane: Pane, language: Language) -> None:
    prefix, _, suffix = first_example(pane, language).partition(MARK)
    is_gap = pane == "infill"
    for temperature, seed in [(0.0, 0), *((SamplingParams().temperature, seed) for seed in range(5))]:
        sampling = SamplingParams(
            temperature=temperature,
            seed=seed,
            stop_at="none" if is_gap else "function",
            stop_repetition=True,
            token_healing=is_on_by_default(prefix, suffix if is_gap else None),
        )
        order = automatic_order(prefix, suffix, engine.fim_order)
        request = CompletionRequest(
            prefix, suffix if is_gap else None, sampling, fim_order=order, fit_gap=is_gap, language=language
        )
        accumulator = Accumulator(engine.tokenizer)
        for event in engine.submit(request):
            accumulator.add(event)
        assert accumulator.text == AUTHORS[pane, language], (temperature, seed)

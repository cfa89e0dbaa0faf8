"""A server whose models have graphs imports neither PyTorch nor pandas, and runs without them; an API alone imports no
Gradio."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.version import installed_version
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import REPOSITORY, random_model

_SERVE = """
import sys
sys.modules["torch"] = None  # as if it were not installed
from pathlib import Path
from app.gradio_start import import_lightly
import_lightly()
from app.command import main
from app.model_pool import Models
from app.server import create_app
from app.settings import Settings
from app.training_jobs import Jobs
from santacoder.engine.request import CompletionRequest
from santacoder.errors import CheckpointError, UserError
from santacoder.sampling import SamplingParams

folder = Path(sys.argv[1])
models = Models(Settings())
served = models.acquire("santacoder/mini", "main")
sampling = SamplingParams(max_new_tokens=4, temperature=0.8, seed=1, token_healing=True)
print(served.runner_label, len(list(served.engine.submit(CompletionRequest("def add(", sampling=sampling)))))
for refused in (
    lambda: Models(Settings(store=folder)).acquire("test/plain", "main"),
    lambda: Models(Settings(store=folder, runner="torch")).acquire("test/plain", "main"),
    lambda: Models(Settings(device="cuda")),
    lambda: Jobs(folder, folder).start(None),
    lambda: Jobs(folder, folder).resume("20260101-000000"),
):
    try:
        refused()
    except (CheckpointError, UserError) as error:
        print(error)
main(["--version"])
print("gradio" in sys.modules)
import app.served_page
print({"pandas", "pyarrow", "onnx"} & sys.modules.keys(), flush=True)
from app.ui.train.teach import teach_button
print(teach_button(Settings()).visible)
from app.ui.compare.pane import menu
print(menu(models, Settings().store, "santacoder/mini", "main", []).value)
from fastapi.testclient import TestClient
from app.attribution_indexes import Indexes
from app.observability.metrics import Metrics
from app.shares.database import Database
from app.shares.store import ShareStore
settings = Settings(allow_training=True, runs=folder / "runs")
shares = ShareStore(Database(f"sqlite:///{folder}/shares.db"))
page = TestClient(create_app(settings, models, Indexes(settings), shares, Metrics()), base_url="http://localhost")
parts = [part["props"] for part in page.get("/config").json()["components"]]
print([part["interactive"] for part in parts if part.get("elem_id") == "train-start"])
"""


def test_a_graph_is_served_and_the_rest_says_what_to_install(tmp_path: Path, tokenizer: Tokenizer) -> None:
    model = random_model(vocab_size=tokenizer.vocab_size)
    checkpoints.publish(model, tokenizer, "test/plain", store=tmp_path)
    command = [sys.executable, "-c", _SERVE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    served, *refusals, version, without_page, with_page, teaches, compared, can_start = done.stdout.splitlines()
    assert served.startswith("onnx, int8, cpu ")
    assert (version, without_page, with_page, teaches) == (installed_version(), "False", "set()", "False")
    # santacoder/mini@pretraining has no graph
    assert (compared, can_start) == ("['santacoder/mini@main', 'santacoder/nano@main']", "[False]")
    what = "needs PyTorch, which this installation lacks: install the whole project with: pip install ."
    plain, runner, device, *training = refusals
    assert plain.startswith("test/plain@") and plain.endswith(f"has no ONNX graph to run, so it {what}")
    assert (runner, device, training) == (f"--runner torch {what}", f"--device cuda {what}", [f"Training {what}"] * 2)


_COMMAND = """
import runpy, sys
sys.modules["torch"] = None  # as if it were not installed
_, *sys.argv = sys.argv
sys.path.insert(0, "")
if sys.argv[0] == "santacoder":
    from app.command import main
    sys.exit(main())
runpy.run_module(sys.argv[0].removeprefix("python -m "), run_name="__main__")
"""


@pytest.mark.parametrize(
    "command",
    [
        *(("santacoder", name) for name in ("train", "tune", "evaluate", "export")),
        *((f"python -m {name}",) for name in ("train", "train.data", "train.evaluate", "export", "app.tune")),
    ],
    ids=" ".join,
)
def test_a_command_that_needs_pytorch_says_so(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", _COMMAND, *command], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert done.stderr == (
        f"{' '.join(command)} needs PyTorch, which this installation lacks: install the whole project with: "
        "pip install .\n"
    )

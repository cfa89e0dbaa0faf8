"""Two gloo processes give the same result as one, even after a kill; states can be loaded with another world size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY
from train.__main__ import main
from train.core.distributed import World
from train.run.folder import newest_state

FLAGS = (
    "--n-layer 2 --n-embd 32 --n-head 2 --sequence-length 64 --batch-size 4 --steps 40 --precision fp32 "
    "--optimizer adamw --validate-every 15 --validation-batches 3 --save-every 10 --keep 9 --fim-questions 2 "
    "--loader-workers 0 --dropout 0"
).split()
# fp32 sums in another order; what they differ by grows from step to step, as the weights drift apart
RTOL_OF_TEN_STEPS, RTOL_OF_ALL = 5e-6, 1e-4
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def losses(output: Path) -> list[float]:
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [record.get("loss", record.get("validation_loss")) for record in records]


def assert_same_losses(run: Path, alone: Path) -> None:
    assert losses(run)[:10] == pytest.approx(losses(alone)[:10], rel=RTOL_OF_TEN_STEPS)
    assert losses(run) == pytest.approx(losses(alone), rel=RTOL_OF_ALL)


@pytest.fixture(scope="module")
def alone(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a single process."""
    output = tmp_path_factory.mktemp("alone") / "run"
    assert main(["--data", str(packed), "--output", str(output), *FLAGS]) == 0
    return output


def start(packed: Path, output: Path, *flags: str, restarts: int = 0) -> subprocess.Popen[str]:
    launcher = [*TORCHRUN, "--max-restarts", str(restarts), "-m", "train"]
    command = [*launcher, "--data", str(packed), "--output", str(output), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_ddp_goes_on_after_a_rank_was_killed(packed: Path, alone: Path, tmp_path: Path) -> None:
    process = start(packed, tmp_path / "run", *FLAGS, "--micro-batch-size", "1", restarts=1)
    while newest_state(tmp_path / "run" / "states") is None:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            if child.environ().get("RANK") == "1":
                child.kill()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert_same_losses(tmp_path / "run", alone)


@pytest.mark.slow
def test_fsdp_computes_the_same_and_one_process_goes_on_with_its_state(
    packed: Path, alone: Path, tmp_path: Path
) -> None:
    process = start(packed, tmp_path / "run", *FLAGS, "--parallel", "fsdp", "--activation-checkpointing")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert_same_losses(tmp_path / "run", alone)
    for step in (30, 40):
        shutil.rmtree(tmp_path / "run" / "states" / f"step-{step:08d}")
    assert main(["--output", str(tmp_path / "run"), "--resume", "--parallel", "ddp"]) == 0
    assert_same_losses(tmp_path / "run", alone)


@pytest.mark.slow
def test_two_processes_go_on_with_the_state_of_one(packed: Path, alone: Path, tmp_path: Path) -> None:
    shutil.copytree(alone, tmp_path / "run", symlinks=True)
    for step in (20, 30, 40):
        shutil.rmtree(tmp_path / "run" / "states" / f"step-{step:08d}")
    process = start(packed, tmp_path / "run", "--resume", "--parallel", "fsdp")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert_same_losses(tmp_path / "run", alone)


def test_a_batch_has_to_be_divisible() -> None:
    world = World(rank=1, size=2, device=None)  # type: ignore[arg-type]
    assert world.rows(6) == range(3, 6)
    with pytest.raises(ValueError, match="batch_size 7 is not a multiple of the 2 processes"):
        world.rows(7)

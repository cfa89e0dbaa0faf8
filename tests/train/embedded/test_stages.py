"""The command for the embedded models: its stages, continuation, and errors."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from santacoder import checkpoints
from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS
from tests.python_process import PythonProcess
from train.arguments import build_parser, new_config
from train.config import TrainConfig
from train.core.optimizer import learning_rate
from train.data.__main__ import main as data_main
from train.embedded.__main__ import main
from train.embedded.presets import HELD_OUT, PRESETS
from train.embedded.recipe import Stage, stages
from train.embedded.stages import StageFailed, is_done, run, write_table
from train.run.folder import RunFolder, newest_state, steps_done

ONE_TRAINING = """
import multiprocessing, sys
from pathlib import Path
from train.embedded import __main__ as command
from train.embedded.recipe import Stage

multiprocessing.current_process().daemon = False  # so that it may have children
data, out, *options = sys.argv[1:]
common = f"--output {out}/run --publish mine/tiny --store {out}/store --publish-saves".split()
shape = "--n-layer 1 --n-embd 32 --n-head 2 --sequence-length 64 --batch-size 4 --fim-questions 0".split()
flags = "--validation-batches 1 --loader-workers 0 --precision fp32 --steps 150 --save-every 75".split()
states, go_on = Path(out, "run", "states"), ("train", *common, "--resume")
command.stages = lambda *_: [Stage("train-tiny", ("train", "--data", data, *shape, *flags, *common), states, go_on)]
sys.exit(command.main(["--out", out, *options]))
"""


@pytest.mark.parametrize("preset", PRESETS)
def test_every_branch_is_trained_before_it_is_measured(preset: str) -> None:
    names = [stage.name for stage in stages(PRESETS[preset], Path("out"), Path("corpus"))]
    for branch in [*EXPERIMENTS, "fim-seed1", "fim-seed2", "stars-seed1", "stars-seed2"]:
        branch = "main" if branch == "final" else branch
        assert names.index(f"train-nano-{branch}") < names.index(f"measure-nano-{branch}") < names.index("ablation")
    long = ["train-mini-main", "data-mini-simple", "train-mini-simple"]
    timed = ["data-mini-simple", "carry-mini", "train-mini", "publish-mini"]
    of_mini = [*(timed if PRESETS[preset].mini_minutes else long), "export-mini-main"]
    of_mini += ["humaneval-mini-main", "measure-mini-main"]  # the latter publishes the scores of both
    assert [name for name in names if name in of_mini] == of_mini
    assert names[-1] == "ship" and len(names) == len(set(names))


def test_trainings_are_commands_that_can_be_used() -> None:
    for stage in stages(PRESETS["cpu"], Path("out"), Path("corpus")):
        if stage.command[0] == "train":
            args = build_parser("").parse_args(stage.command[1:])
            if args.from_ is None:
                config = new_config(args)
                experiment = EXPERIMENTS[args.variant] if args.variant else EXPERIMENTS["final"]
                assert config.multi_query is experiment.multi_query
                assert (config.fim_rate > 0) is experiment.fill_in_the_middle
            assert build_parser("").parse_args(stage.go_on[1:]).resume


@pytest.mark.parametrize("name", PRESETS)
def test_budgets_are_what_the_documents_say(name: str) -> None:
    preset = PRESETS[name]
    if not preset.mini_minutes:
        everything, simple = TrainConfig(**preset.mini), TrainConfig(**preset.mini_simple)
        tokens = everything.steps * everything.tokens_per_step
        then = simple.steps * simple.tokens_per_step
        assert tokens + then >= 199e6 and 0.24 <= then / (tokens + then) <= 0.27
        # the second phase goes on with the rate that the first ends with
        assert learning_rate(everything.steps - 1, everything) == pytest.approx(simple.learning_rate, rel=1e-3)
        assert learning_rate(simple.steps - 1, simple) < simple.learning_rate / 1000
    nano = TrainConfig(**preset.nano)
    assert nano.steps * nano.tokens_per_step >= 20e6


def test_no_model_learns_from_what_it_is_measured_on() -> None:
    for stage in stages(PRESETS["gpu"], Path("out"), Path("corpus")):
        if stage.command[0] == "train.data" and stage.command[1] != "index":  # which asks the data for them
            assert all(name in stage.command for name in HELD_OUT)


def test_a_stage_is_done_once_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    left, states = tmp_path / "left", tmp_path / "states"
    left.write_text('{"went": "on"}')
    (states / ".step-00000005.incomplete").mkdir(parents=True)  # of a run that was killed while it saved
    stage = Stage("one", ("json.tool", str(tmp_path / "absent.json")), states, ("json.tool", str(left)))
    with pytest.raises(StageFailed, match=r"(?s)one failed with exit code \d; see .*one\.log:.*absent\.json"):
        run(stage, tmp_path)
    assert not is_done(stage, tmp_path)
    (states / "step-00000005").mkdir()
    run(stage, tmp_path)
    assert is_done(stage, tmp_path)
    log = (tmp_path / "logs" / "one.log").read_text()
    assert "absent.json" in log and '"went": "on"' in log
    write_table([stage], tmp_path, 3.0)
    assert "| one (last part) |" in (tmp_path / "stages.md").read_text()
    with pytest.raises(StageFailed, match="one was done by another command: json.tool"):
        is_done(Stage("one", ("json.tool", "other.json")), tmp_path)


def test_the_command_lists_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--list", "--only", "train-mini-*"]) == 0
    assert "train-mini-main (to do): python -m train --data" in capsys.readouterr().out
    assert main(["--out", str(tmp_path / "a folder"), "--list", "--only", "ship"]) == 0
    assert f"python -m train.embedded.ship '{tmp_path / 'a folder' / 'store'}'\n" in capsys.readouterr().out
    assert main(["--out", str(tmp_path), "--only", "train-micro"]) == 2
    assert "No stage matches train-micro; --list shows the names." in capsys.readouterr().err
    (tmp_path / "done").mkdir()
    record = {"command": ["other"], "seconds": 1.0, "core_seconds": 1.0, "went_on": False}
    (tmp_path / "done" / "ship.json").write_text(json.dumps(record))
    for listed in ([], ["--list"]):
        assert main(["--out", str(tmp_path), "--only", "ship", *listed]) == 1
        assert "ship was done by another command: other" in capsys.readouterr().err
    for damaged in ('{"command": [', "[]", '{"command": ["other"]}'):
        (tmp_path / "done" / "ship.json").write_text(damaged)
        assert main(["--out", str(tmp_path), "--only", "ship"]) == 1
        assert f"{tmp_path / 'done' / 'ship.json'} is damaged" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["--out", str(tmp_path / "file"), "--only", "ship"]) == 1
    assert "Stopped because a file cannot be read or written: " in capsys.readouterr().err


def embedded(packed: Path, out: Path) -> PythonProcess:
    """``python -m train.embedded`` with one stage, a training of 150 steps that publishes twice."""
    return PythonProcess("-c", ONE_TRAINING, str(packed), str(out), quiet=True)


def wait_for_steps(out: Path, process: PythonProcess) -> None:
    while not (metrics := out / "run" / "metrics.jsonl").exists() or metrics.read_text().count("\n") < 5:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def ended(out: Path) -> bool:
    try:
        with RunFolder(out / "run").held():
            return True
    except UserError:
        return False


def test_a_training_ends_with_the_command_and_goes_on_with_it(packed: Path, tmp_path: Path) -> None:
    for number, sentence in ((signal.SIGKILL, ""), (signal.SIGTERM, "Stopped. Run the same command again")):
        process = embedded(packed, tmp_path)
        wait_for_steps(tmp_path, process)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode == (-number if number == signal.SIGKILL else 1) and sentence in errors
        while not ended(tmp_path):
            time.sleep(0.01)
        done = (tmp_path / "run" / "metrics.jsonl").read_text().count("\n")
        assert done < 150 and not (tmp_path / "done").exists()
        (tmp_path / "run" / "metrics.jsonl").unlink()
    state = newest_state(tmp_path / "run" / "states")
    assert state is not None and steps_done(state) % 75, "a SIGTERM saves the last step"
    process = embedded(packed, tmp_path)
    assert process.wait() == 0, process.communicate()
    commits = checkpoints.log("mine/tiny", store=tmp_path / "store")
    assert [commit.step for commit in commits] == [150, 75] and (tmp_path / "done" / "train-tiny.json").exists()


def test_a_stage_is_run_by_one_command_at_a_time(packed: Path, tmp_path: Path) -> None:
    process = embedded(packed, tmp_path)
    wait_for_steps(tmp_path, process)
    log = (tmp_path / "logs" / "train-tiny.log").read_text()
    other = embedded(packed, tmp_path)
    _, errors = other.communicate()
    assert other.returncode == 1 and f"Another process is at train-tiny in {tmp_path}: wait until it ends" in errors
    assert process.poll() is None and (tmp_path / "logs" / "train-tiny.log").read_text().startswith(log)
    process.terminate()
    process.wait()


def test_a_share_is_a_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for share in ("0", "1.5", "much"):
        with pytest.raises(SystemExit):
            data_main(["--out", str(tmp_path), "--sample", share])
        assert f"the fraction must be above 0 and at most 1, not {share}" in capsys.readouterr().err

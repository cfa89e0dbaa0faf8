"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from santacoder.checkpoints import DEFAULT_STORE
from santacoder.errors import UserError
from santacoder.fim import FimTransform
from santacoder.model import SantaCoder
from train.config import TrainConfig
from train.core.batches import Batches, prefetched
from train.core.distributed import World
from train.core.memory import require_memory
from train.core.optimizer import learning_rate
from train.core.step import NotFinite, Training, prepare, training_step
from train.data.pack import PackedData
from train.data.syntax import node_cuts
from train.model.lora import adapter_tensors
from train.model.plain_model import plain_model
from train.model.starting_point import starting_model
from train.run.folder import RunFolder, newest_state, steps_done
from train.run.log import Log
from train.run.published_save import PublishedSave, recall_curves
from train.run.saved_states import SavedStates
from train.run.stopping import stop_requests
from train.run.validation import Watch

ALONE = World(0, 1, torch.device("cpu"))


class Stopped(Exception):
    """The run was asked to stop and has saved its state."""


class TrainingFailed(Exception):
    """The run cannot continue; the message is a sentence for the user."""


@dataclass(frozen=True)
class Trained:
    """A model after ``step`` steps and ``tokens`` tokens, with its ``metrics`` on the held-out packages, by name.

    ``model`` is None on all processes but the first. ``adapter`` has the factors of a low-rank update, by peft's names.
    """

    model: SantaCoder | None
    step: int
    tokens: int
    metrics: dict[str, float] = field(default_factory=dict)
    adapter: dict[str, Tensor] = field(default_factory=dict)

    @property
    def validation_loss(self) -> float:
        """Nats per token."""
        return self.metrics["validation_loss"]


def train(
    config: TrainConfig,
    data: PackedData,
    output: Path,
    *,
    world: World = ALONE,
    store: Path = DEFAULT_STORE,
    on_save: Callable[[Trained], object] | None = None,
    published: PublishedSave | None = None,
) -> Trained:
    """Train ``config`` on ``data``, continuing from the newest saved state in ``output`` if there is one, or else from
    ``published``.

    A run that is killed and resumed gives the same result as an uninterrupted one: it continues from the newest saved
    state, and batches and dropout depend only on the seed and the step.

    Args:
        config: the configuration of the run.
        data: the packed training and validation tokens.
        output: the run folder.
        world: the processes of the run.
        store: folder of published models, with the base of a fine-tuning run.
        on_save: called with the model every ``publish_every`` steps, or else at each saved state; not at the end.
        published: a commit that this run published before its folder was lost.

    Raises:
        UserError: the corpus is too small, the run does not fit in memory, or it has done more steps already.
        Stopped: SIGINT or SIGTERM was received; the state is saved.
        TrainingFailed: the loss is not finite.
        OSError: the disk is full; the last saved state is intact.
    """
    run = RunFolder(output)
    order = batches(config, data)
    rows = world.rows(config.batch_size)
    model = starting_model(config, data.tokenizer, store, weights=published.name if published else "")
    require_memory(model.config, config, world)
    training = prepare(model, config, world)
    states = SavedStates(run.states, config.keep, world)
    first_step = restored = states.restore(training)
    if first_step > config.steps:
        raise UserError(f"The run has done {first_step:,} steps already, more than the {config.steps:,} requested.")
    if world.is_first:
        run.begin(config)
    if published and first_step == 0:
        first_step = published.step
        if world.is_first:
            recall_curves(published, run)
    watch = Watch(training, data, config, world)
    on_gpu = world.device.type == "cuda"
    steps = range(first_step, config.steps)
    loader = iter(prefetched(order, steps, rows, workers=config.loader_workers, pin_memory=on_gpu))
    with closing(Log(run, config, first_step, world)) as log, stop_requests(world) as stop:
        if config.validate_first and first_step == 0:
            log.validation(-1, *watch.validate())  # as after no steps
        publishing = on_save is not None and _publishes_after(restored, config)
        if (publishing or _validates_after(restored, config)) and not log.has_validation(restored - 1, world):
            # the run was stopped after a step with a validation, which was left to this process
            log.validation(restored - 1, *watch.validate())
            if publishing and on_save:
                on_save(_trained(training, restored, config, world, log.latest_validation))
        for step in steps:
            started = time.perf_counter()
            batch = next(loader)
            waited = time.perf_counter() - started
            try:
                loss, gradient_norm = training_step(training, batch, step, config, world)
            except NotFinite as error:
                states.finish()
                raise TrainingFailed(_diagnosis(error, step, order, config, run)) from error
            log.step(step, loss, gradient_norm, time.perf_counter() - started, waited)
            publishing = on_save is not None and _publishes_after(step + 1, config)
            if not stop.is_set() and (publishing or _validates_after(step + 1, config)):
                log.validation(step, *watch.validate())
            stopping = stop.is_set()
            if stopping or publishing or (step + 1) % config.save_every == 0 or step + 1 == config.steps:
                states.save(step + 1, training)
            if publishing and on_save and log.last_validated == step:
                on_save(_trained(training, step + 1, config, world, log.latest_validation))
            if stopping and step + 1 < config.steps:
                states.finish()
                raise Stopped(f"Stopped after {step + 1:,} of {config.steps:,} steps.")
        states.finish()
        if log.last_validated != config.steps - 1:
            log.validation(config.steps - 1, *watch.validate())
    return _trained(training, config.steps, config, world, log.latest_validation)


def _validates_after(n_steps: int, config: TrainConfig) -> bool:
    """Whether ``n_steps`` are followed by a validation; the one after the last step follows the loop."""
    return 0 < n_steps < config.steps and n_steps % config.validate_every == 0


def _publishes_after(n_steps: int, config: TrainConfig) -> bool:
    """Whether ``n_steps`` are followed by a commit, if saves are published."""
    return 0 < n_steps < config.steps and n_steps % (config.publish_every or config.save_every) == 0


def batches(config: TrainConfig, data: PackedData) -> Batches:
    """The batches of the run.

    Raises:
        UserError: the corpus is too small.
    """
    documents = data.documents() if config.balance_languages or config.node_rate else None
    fim = FimTransform(data.tokenizer, config.fim_rate, config.spm_rate, config.line_rate, config.node_rate, node_cuts)
    return Batches(
        data.train, config.sequence_length, config.batch_size, config.seed, fim, documents, config.balance_languages
    )


def _trained(training: Training, step: int, config: TrainConfig, world: World, metrics: dict[str, float]) -> Trained:
    adapter = adapter_tensors(training.model) if config.lora_rank else {}
    return Trained(plain_model(training.model, world), step, step * config.tokens_per_step, metrics, adapter)


def _diagnosis(error: NotFinite, step: int, order: Batches, config: TrainConfig, run: RunFolder) -> str:
    """Describe the failure: step, batch, last good state, and possible remedies."""
    windows = ", ".join(map(str, order.windows(step)[:32]))
    last = newest_state(run.states)
    good = (
        f"The last good state is {last}, after {steps_done(last):,} steps." if last else "No state was saved before it."
    )
    return (
        f"{error} at step {step:,}, learning rate {learning_rate(step, config):.2g}, in the batch of windows {windows} "
        f"of {config.sequence_length} tokens each. {good} A lower --learning-rate or --precision fp32 may help, in a "
        "new run with another --output."
    )

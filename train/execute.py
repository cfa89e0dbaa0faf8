"""A run from beginning to end: data, training, publication, outcome."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace

import torch

from santacoder import checkpoints
from santacoder.checkpoints.store import require_branch
from santacoder.errors import CheckpointError, UserError
from santacoder.paths import command_name
from train.arguments import continued_config, named_sources, new_config
from train.config import TrainConfig
from train.core.distributed import World, under_torchrun
from train.data.arguments import pack_sources
from train.data.corpus import download, unpack
from train.data.pack import PackedData, load_packed
from train.data.report import remaining_files
from train.loop import Stopped, Trained, TrainingFailed, batches, train
from train.model.starting_point import base_tokenizer, require_adapter_names
from train.publish.adapter import save_adapter
from train.publish.model_card import model_card
from train.run.folder import Outcome, RunFolder, newest_state
from train.run.improvement import improvement
from train.run.published_save import PublishedSave, newest_save, published_already


def execute(args: argparse.Namespace, run: RunFolder, world: World) -> Outcome:
    """Prepare the data, train, publish, and write the outcome to the run folder.

    Raises:
        UserError, CheckpointError: the arguments are invalid; then nothing is written.
    """
    if args.publish:
        require_branch(args.publish, args.branch, args.store)
    elif args.continue_published:
        raise UserError("--continue-published needs the model that the run publishes to: set --publish.")
    if args.data is not None and (unread := named_sources(args)):
        raise UserError(f"--data is packed already, so {', '.join(unread)} would not be read: omit one of them.")
    with run.held() if world.is_first else nullcontext():
        begun = run.config() if args.resume else None
        config = continued_config(args, begun) if begun else new_config(args)
        if args.publish_if_better:
            config = _comparing(args, config, begun)
        if args.save_adapter:
            if not config.lora_rank:
                raise UserError("--save-adapter needs a low-rank update to save: set --lora-rank.")
            require_adapter_names(config.base, args.store)
        if not args.resume:
            run.require_new()
        data = _data(args, config, run, world)
        if args.prepare:
            batches(config, data)  # are there enough tokens?
            return Outcome("finished", "The data are prepared.")
        outcome, advice = _train(args, config, data, run, world)
        if world.is_first:
            stream = sys.stdout if outcome.state == "finished" else sys.stderr
            print(f"{outcome.message} {advice}".rstrip(), file=stream, flush=True)
            with suppress(OSError):  # a full disk; the message already says so
                run.finish(outcome)
    return outcome


def _train(
    args: argparse.Namespace, config: TrainConfig, data: PackedData, run: RunFolder, world: World
) -> tuple[Outcome, str]:
    """How the run ended, and what the command line can do next."""

    def publish(trained: Trained) -> str:
        try:
            return _publish(args, config, trained, data) if args.publish and trained.model else ""
        except CheckpointError as error:
            raise TrainingFailed(f"{error} {how_to_go_on(args)}") from error

    published = _published(args, config, run)
    if published and published.step == config.steps:
        message = f"{args.publish}@{args.branch} has all {config.steps:,} steps; there is nothing left to train."
        return Outcome("finished", message, published.commit), ""
    try:
        on_save = publish if args.publish_saves and args.publish else None
        trained = train(config, data, run.path, world=world, store=args.store, on_save=on_save, published=published)
        if args.save_adapter and world.is_first:
            save_adapter(args.save_adapter, trained.adapter, config.base)
        found = improvement(run, data, config) if args.publish_if_better else None
        is_better = not args.publish_if_better or (found is not None and found.is_one)
        sha = publish(trained) if is_better else ""
    except Stopped as error:
        return Outcome("stopped", str(error)), how_to_go_on(args)
    except TrainingFailed as error:
        return Outcome("failed", str(error)), ""
    except OSError as error:
        return Outcome("failed", f"Stopped because writing failed: {error}."), how_to_go_on(args)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        advice = "use a smaller --micro-batch-size or --activation-checkpointing"
        return Outcome("failed", f"Out of memory: {advice}."), how_to_go_on(args)
    message = f"Trained on {trained.tokens:,} tokens; validation loss {trained.validation_loss:.4f} nats per token."
    if found:
        message += f" {found}"
    if args.save_adapter:
        message += f" The adapter is in {args.save_adapter}."
    if sha:
        message += f" Published {args.publish}@{args.branch} as commit {sha[:12]}."
    elif found:
        message += " Nothing was published, because it is no better on them."
    elif args.publish_if_better:
        message += " Nothing was published: there are no held-out lines to compare it on."
    return Outcome("finished", message, sha), ""


def _published(args: argparse.Namespace, config: TrainConfig, run: RunFolder) -> PublishedSave | None:
    """What ``--continue-published`` continues from, if it is given and the folder has no saved state."""
    if not args.continue_published or newest_state(run.states) is not None:
        return None
    return newest_save(args.publish, args.branch, config, args.store)


def _comparing(args: argparse.Namespace, config: TrainConfig, begun: TrainConfig | None) -> TrainConfig:
    """``config`` with what a comparison with the model before the training needs; ``begun`` is that of a resumed run.

    Raises:
        UserError: the run does not fill in held-out lines, did not before its first step, or would publish without a
            comparison.
    """
    if begun and not begun.validate_first:
        raise UserError(
            "--publish-if-better compares with the model before the training, but the run did not measure that: omit "
            "the option, or start a new run with another --output."
        )
    if args.publish_saves:
        raise UserError("--publish-if-better compares at the end; omit --publish-saves.")
    if not (config.fim_rate and config.fim_questions):
        raise UserError("--publish-if-better compares lines that are filled in: set --fim-rate and --fim-questions.")
    return replace(config, validate_first=True)


def _data(args: argparse.Namespace, config: TrainConfig, run: RunFolder, world: World) -> PackedData:
    """Return the packed tokens: those of ``--data``, or those of the run, which the first process packs if needed."""
    if world.is_first and args.data is not None:
        load_packed(args.data)
        if args.resume and run.data.is_dir() and run.data.resolve() != args.data.resolve():
            raise UserError(f"The run learns from {run.data.resolve()}, not from {args.data}: omit --data.")
        run.link_data(args.data)
    elif world.is_first and args.resume and (unread := named_sources(args)):
        print(f"The run learns from its own data and does not read {', '.join(unread)} again.", file=sys.stderr)
    elif world.is_first and not args.resume:
        run.unlink_data()
        if args.archive is not None:
            unpack(args.archive, run.path / "archive")
            args.folder.append(run.path / "archive")
        if args.requirements is not None:
            download(args.requirements, run.path / "packages")
            args.packages.append(run.path / "packages")
        tokenizer = base_tokenizer(config.base, args.store) if config.base else None
        print(remaining_files(pack_sources(args, run.data, tokenizer=tokenizer)), flush=True)
    world.wait_for_all()
    return load_packed(run.data)


def _publish(args: argparse.Namespace, config: TrainConfig, trained: Trained, data: PackedData) -> str:
    """Publish the model, unless the run was killed after it did so. Returns the commit."""
    assert trained.model is not None
    if sha := published_already(trained.model, trained.step, args.publish, args.branch, args.store):
        return sha
    return checkpoints.publish(
        trained.model,
        data.tokenizer,
        args.publish,
        args.branch,
        step=trained.step,
        tokens=trained.tokens,
        validation_loss=round(trained.validation_loss, 4),
        metrics={name: round(value, 4) for name, value in trained.metrics.items()},
        files=model_card(args.publish, config, trained, data, RunFolder(args.output)),
        store=args.store,
    )


def how_to_go_on(args: argparse.Namespace) -> str:
    """A sentence for the user of a run that has stopped."""
    if newest_state(RunFolder(args.output).states) is None:
        return "Nothing had been saved yet; run the same command again."
    options = shlex.join(["--output", str(args.output), "--resume", *_destination(args)])
    if under_torchrun():
        how = f"continue with torchrun, started as before, and these options: {options}"
    else:
        how = f"continue with: {command_name('train', 'python -m train')} {options}"
    return f"The last saved state is intact; {how}"


def _destination(args: argparse.Namespace) -> Iterator[str]:
    """The options that say where the results go, which a run does not keep."""
    if args.publish:
        yield from ("--publish", args.publish, "--branch", args.branch)
    for option in ("publish_saves", "publish_if_better"):
        if getattr(args, option):
            yield f"--{option.replace('_', '-')}"
    if args.save_adapter:
        yield from ("--save-adapter", str(args.save_adapter))
    if args.store != checkpoints.DEFAULT_STORE:
        yield from ("--store", str(args.store))


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)

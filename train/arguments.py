"""The command line of ``python -m train`` and the settings that it selects."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, get_args, get_origin, get_type_hints

from santacoder import checkpoints
from santacoder.errors import UserError
from santacoder.paths import command_name, user_path
from train.config import TrainConfig
from train.data.arguments import add_source_arguments
from train.model.starting_point import is_base, resolve_base
from train.presets import FINE_TUNING, LORA, SIZES
from train.variants import training_settings

EXAMPLES = """
examples:
  train on your own code, then use it in the playground:
    python -m train --folder ~/code --output runs/mine --steps 2000 --publish mine/coder
    python app.py --model mine/coder
  tune a published model to it:
    python -m train --from santacoder/mini --folder ~/code --output runs/tuned --publish mine/coder
  continue after a stop or a crash, with the same result as an uninterrupted run:
    python -m train --output runs/mine --resume --publish mine/coder
  on two GPUs:
    torchrun --standalone --nproc-per-node 2 -m train --device cuda --size base --data runs/data --output runs/base
"""
_OF_THE_BASE = ("n_layer", "n_embd", "n_head", "multi_query")
_SOURCES = ("folder", "standard_library", "packages", "download", "dataset", "archive", "requirements")


def build_parser(description: str) -> argparse.ArgumentParser:
    """Build the parser. Its result has no attribute for a setting that is not on the command line."""
    parser = argparse.ArgumentParser(
        prog=command_name("train", "python -m train"),
        description=description,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group("what to train on (may be combined)")
    add_source_arguments(source)
    source.add_argument("--archive", type=user_path, help="a zip or tar archive of source code")
    source.add_argument(
        "--requirements", type=user_path, help="a file of Python packages to download, one name==version per line"
    )
    source.add_argument(
        "--prepare", action="store_true", help="only prepare the data, and say how many files remain and why"
    )
    packed = parser.add_argument_group("or what is packed already")
    packed.add_argument("--data", type=user_path, help="a folder packed by an earlier run (its OUTPUT/data)")
    start = parser.add_argument_group("what to train")
    start.add_argument("--size", choices=list(SIZES), help="train a model of this size from scratch (default: nano)")
    start.add_argument("--from", dest="from_", metavar="REPO[@REVISION]", help="fine-tune a published model instead")
    result = parser.add_argument_group("where the results go")
    result.add_argument(
        "--output", type=user_path, required=True, help="folder of the run: states, metrics, packed data"
    )
    result.add_argument("--resume", action="store_true", help="continue the run in OUTPUT with its settings")
    result.add_argument("--publish", metavar="REPO", help="model to publish to, such as mine/coder")
    result.add_argument("--branch", default="main", help="branch to publish to (default: main)")
    result.add_argument(
        "--save-adapter",
        type=user_path,
        metavar="FOLDER",
        help="save the update of --lora-rank as an adapter in peft's files, too",
    )
    result.add_argument(
        "--publish-saves", action="store_true", help="publish every saved checkpoint, not only the last"
    )
    result.add_argument(
        "--continue-published",
        action="store_true",
        help="if OUTPUT has no saved state, continue from the newest commit of --publish and --branch, which this run "
        "published before its folder was lost; the optimiser's moments begin at zero",
    )
    result.add_argument(
        "--publish-if-better",
        action="store_true",
        help="publish only if the model fills in more held-out lines exactly than before the training, or about as "
        "many and needs at least 1 %% fewer bits per byte of their files",
    )
    result.add_argument(
        "--store",
        type=user_path,
        default=checkpoints.DEFAULT_STORE,
        help="folder of published models (default: %(default)s)",
    )
    _add_settings(parser.add_argument_group("settings (defaults are those of --size nano)"))
    return parser


def continued_config(args: argparse.Namespace, stored: TrainConfig) -> TrainConfig:
    """Return the settings of the run to resume, updated with those that the command line may change.

    Raises:
        UserError: the command line asks for a setting that the stored run cannot take on.
        CheckpointError: the revision that it names does not exist.
    """
    if args.from_ is not None and not is_base(stored.base, args.from_, args.store):
        raise UserError(
            f"The run {'tunes ' + stored.base if stored.base else 'began from scratch'} and cannot continue from "
            f"{args.from_}: omit --from, or start a new run with another --output."
        )
    size = _kept_of_size(args.size) if args.size else {}
    return stored.continued_with({**size, **_variant(args), **_given(args)})


def named_sources(args: argparse.Namespace) -> list[str]:
    """The options that name source code."""
    return ["--" + name.replace("_", "-") for name in _SOURCES if getattr(args, name)]


def new_config(args: argparse.Namespace) -> TrainConfig:
    """Return the settings of a new run: those of its size or base, then of its variant, then the individual options.

    Raises:
        UserError: the settings contradict each other.
        CheckpointError: the revision to start from does not exist.
    """
    given, variant = _given(args), _variant(args)
    if args.from_ is None:
        return TrainConfig(**{**SIZES[args.size or "nano"], **variant, **given})
    if args.size:
        raise UserError(f"--size applies only to a new model, and {args.from_} already has a size: omit one of them.")
    base, shape = resolve_base(args.from_, args.store)
    of_base = {name: getattr(shape, name) for name in _OF_THE_BASE}
    for name, value in of_base.items():
        asked = given.get(name, variant.get(name, value))
        if asked != value:
            raise UserError(f"{args.from_} has {name} {value}, which fine-tuning cannot change to {asked}.")
    settings = {**FINE_TUNING, **(LORA if given.get("lora_rank") else {}), **variant, **of_base}
    settings["sequence_length"] = min(settings["sequence_length"], shape.n_positions)
    config = TrainConfig(**{**settings, **given, "base": base})
    if config.sequence_length > shape.n_positions:
        raise UserError(
            f"sequence_length {config.sequence_length} is more than the {shape.n_positions} positions of {args.from_}."
        )
    return config


def _kept_of_size(size: str) -> dict[str, Any]:
    """The settings in which sizes differ and which a resumed run keeps, except for the steps, which are a run's own."""
    differing = {name for settings in SIZES.values() for name in settings} - {"steps"}
    fields = [field for field in dataclasses.fields(TrainConfig) if field.name in differing]
    return {f.name: SIZES[size].get(f.name, f.default) for f in fields if not f.metadata["may_change"]}


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings given as individual options."""
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    return {name: value for name, value in vars(args).items() if name in names}


def _variant(args: argparse.Namespace) -> dict[str, Any]:
    return training_settings(args.variant) if args.variant else {}


def _add_settings(group: argparse._ArgumentGroup) -> None:
    """Add an option for each field of :class:`TrainConfig` except the base, which ``--from`` names."""
    hints = get_type_hints(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        if field.name == "base":
            continue
        flag, hint = "--" + field.name.replace("_", "-"), hints[field.name]
        meaning: dict[str, Any] = {
            "help": f"{field.metadata['help']} (default: {field.default})",
            "default": argparse.SUPPRESS,
        }
        if hint is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **meaning)
        elif get_origin(hint) is not None:
            group.add_argument(flag, choices=get_args(hint), **meaning)
        else:
            group.add_argument(flag, type=hint, metavar=hint.__name__.upper(), **meaning)

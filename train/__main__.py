"""Train a model on source files, and publish it to the store."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from santacoder import checkpoints
from train.config import TrainConfig
from train.data.arguments import add_source_arguments, pack_sources
from train.data.pack import load_packed
from train.loop import train
from train.model_card import model_card
from train.run_state import RunFolder

EXAMPLES = """
examples:
  train on your own code, then use it in the playground:
    python -m train --folder ~/code --output runs/mine --steps 2000 --publish mine/coder
    python app.py --model mine/coder
  go on after a stop, exactly as if there had been none:
    python -m train --output runs/mine --resume --publish mine/coder
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 1 where training had to stop, 2 for arguments that cannot be used."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        if not args.resume:
            RunFolder(args.output).require_new()
            if args.data is None:
                pack_sources(args, args.output / "data")
        _run(args)
    except (ValueError, checkpoints.CheckpointError) as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(1, f"Stopped, because writing failed: {error}. {_how_to_go_on(args.output)}\n")
    except KeyboardInterrupt:
        parser.exit(1, f"\nStopped. {_how_to_go_on(args.output)}\n")
    return 0


def _run(args: argparse.Namespace) -> None:
    data = load_packed(args.data or args.output / "data")
    config = TrainConfig(**{field.name: getattr(args, field.name) for field in dataclasses.fields(TrainConfig)})
    if args.resume:
        config = RunFolder(args.output).config()
    trained = train(config, data, args.output, resume=args.resume)
    print(f"Trained on {trained.tokens:,} tokens; validation loss {trained.validation_loss:.4f} nats per token.")
    if args.publish:
        sha = checkpoints.publish(
            trained.model,
            data.tokenizer,
            args.publish,
            args.branch,
            step=config.steps,
            tokens=trained.tokens,
            validation_loss=round(trained.validation_loss, 4),
            files={"README.md": model_card(args.publish, config, trained, data)},
            store=args.store,
        )
        print(f"Published {args.publish}@{args.branch} as commit {sha[:12]}.")


def _how_to_go_on(output: Path) -> str:
    if RunFolder(output).state.exists():
        return f"The last saved state is intact; go on with: python -m train --output {output} --resume"
    return "Nothing had been saved yet; run the same command again."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group("what to train on (may be combined)")
    add_source_arguments(source)
    source.add_argument("--data", type=Path, help="a folder packed by an earlier run (its OUTPUT/data)")
    result = parser.add_argument_group("where the results go")
    result.add_argument("--output", type=Path, required=True, help="folder of the run: state, metrics, packed data")
    result.add_argument("--resume", action="store_true", help="go on with the run in OUTPUT, with its own settings")
    result.add_argument("--publish", metavar="REPO", help="model to publish to, such as mine/coder")
    result.add_argument("--branch", default="main", help="branch to publish to (default: main)")
    result.add_argument(
        "--store",
        type=Path,
        default=checkpoints.DEFAULT_STORE,
        help="folder of published models (default: %(default)s)",
    )
    _add_config_flags(parser.add_argument_group("model, objective, optimiser, schedule"))
    return parser


def _add_config_flags(group: argparse._ArgumentGroup) -> None:
    """A flag for each field of :class:`TrainConfig`."""
    hints = get_type_hints(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        flag, hint = "--" + field.name.replace("_", "-"), hints[field.name]
        meaning = f"{field.metadata['help']} (default: {field.default})"
        if hint is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default, help=meaning)
        elif get_origin(hint) is not None:
            group.add_argument(flag, choices=get_args(hint), default=field.default, help=meaning)
        else:
            group.add_argument(flag, type=hint, default=field.default, metavar=hint.__name__.upper(), help=meaning)


if __name__ == "__main__":
    sys.exit(main())

"""Train the embedded models, from downloading the packages to published, evaluated branches.

Every stage is a separate command. Finished stages are skipped, and interrupted ones are continued. OUT/stages.md lists
the time of each stage.
"""

from __future__ import annotations

import argparse
import fnmatch
import shlex
import sys
from pathlib import Path

from santacoder.paths import user_path
from train.embedded.presets import PRESETS
from train.embedded.recipe import Stage, stages
from train.embedded.stages import StageFailed, is_done, run, write_table

EXAMPLES = """
examples:
  everything, on two CPU cores:
    python -m train.embedded
  everything, on a GPU, with a larger mini:
    python -m train.embedded --preset gpu --out runs/embedded-gpu
  what there is to do, and the commands:
    python -m train.embedded --list
  one model after the other on one machine:
    python -m train.embedded --only 'data-*' 'train-mini-*'
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if a stage failed, 2 for invalid arguments."""
    args = _parser().parse_args(arguments)
    preset = PRESETS[args.preset]
    all_stages = stages(preset, args.out, args.downloads)
    chosen = [stage for stage in all_stages if any(fnmatch.fnmatch(stage.name, pattern) for pattern in args.only)]
    if not chosen:
        print(f"No stage matches {' or '.join(args.only)}; --list shows the names.", file=sys.stderr)
        return 2
    try:
        if args.list:
            _list(chosen, args.out)
            return 0
        _run_all(chosen, all_stages, args)
    except StageFailed as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"Stopped because a file cannot be read or written: {error}. Run the same command again to continue.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to continue.", file=sys.stderr)
        return 1
    print(f"Done. The models are in {args.out / 'store'}; {args.out / 'stages.md'} lists the time of each stage.")
    return 0


def _list(chosen: list[Stage], out: Path) -> None:
    for stage in chosen:
        print(f"{stage.name} ({'done' if is_done(stage, out) else 'to do'}): python -m {shlex.join(stage.command)}")


def _run_all(chosen: list[Stage], all_stages: list[Stage], args: argparse.Namespace) -> None:
    for number, stage in enumerate(chosen, start=1):
        if not is_done(stage, args.out):
            print(f"[{number}/{len(chosen)}] {stage.name}", flush=True)
            run(stage, args.out)
            write_table(all_stages, args.out, PRESETS[args.preset].dollars_per_hour)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.embedded",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="cpu", help="model sizes (default: %(default)s)")
    parser.add_argument("--out", type=user_path, default=Path("runs/embedded"), help="working folder (%(default)s)")
    parser.add_argument(
        "--downloads", type=user_path, default=Path("corpus"), help="folder for downloaded packages (%(default)s)"
    )
    parser.add_argument(
        "--only", nargs="+", default=["*"], metavar="PATTERN", help="names of stages to run, with * as a wildcard"
    )
    parser.add_argument("--list", action="store_true", help="list the stages and their commands without running them")
    return parser


if __name__ == "__main__":
    sys.exit(main())

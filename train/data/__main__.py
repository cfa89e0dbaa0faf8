"""Pack source files into tokens without training.

python -m train.data index --help tells how to build the attribution index.
"""

from __future__ import annotations

from santacoder import pytorch

pytorch.require_for_command("data", "python -m train.data")

import argparse
import sys

from santacoder.errors import CheckpointError, UserError
from santacoder.paths import user_path
from train.data import index
from train.data.arguments import add_source_arguments, pack_sources
from train.data.local import LocalExecutor
from train.data.packages import DEFAULT_MANIFEST
from train.data.pipeline import Executor

EXAMPLES = """
examples:
  the package corpus with the filters of the final model:
    python -m train.data --variant final --out runs/final/data
  the same for another variant, sharing the steps they have in common:
    python -m train.data --variant comments --out runs/comments/data --work runs/final/data/work
  The Stack on a Ray cluster, whose machines see the same folder:
    python -m train.data --dataset bigcode/the-stack:data/python --executor ray --out /shared/python
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success; exits with 1 if it had to stop, and with 2 for invalid arguments."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["index"]:
        return index.main(arguments[1:])
    parser = _parser()
    args = parser.parse_args(arguments)
    if not (args.folder or args.standard_library or args.packages or args.download or args.dataset):
        args.download = [DEFAULT_MANIFEST]
    try:
        pack_sources(args, args.out, work=args.work, executor=_executor(args.executor))
    except (UserError, CheckpointError) as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(
            1, f"Stopped because a file cannot be read or written: {error}. Run the same command again to continue.\n"
        )
    except KeyboardInterrupt:
        parser.exit(1, "\nStopped. Run the same command again to continue.\n")
    print(f"Packed into {args.out}; {args.out / 'report.html'} lists what was kept and what was removed.")
    return 0


def _executor(name: str) -> Executor:
    if name == "local":
        return LocalExecutor()
    try:
        from train.data.on_ray import RayExecutor
    except ImportError as error:
        raise UserError("The executor ray needs one more library: pip install 'ray[data]'.") from error
    return RayExecutor()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.data",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_arguments(parser.add_argument_group("what to read (may be combined; default: --download)"))
    parser.add_argument(
        "--out", type=user_path, required=True, help="output folder for tokenizer, tokens, manifest and report"
    )
    parser.add_argument(
        "--work", type=user_path, help="folder of intermediate results, which variants may share (default: OUT/work)"
    )
    parser.add_argument(
        "--executor",
        choices=["local", "ray"],
        default="local",
        help="run on this machine's cores or on Ray (default: local)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

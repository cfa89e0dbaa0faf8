"""Train a model on source files and publish it to the store."""

from __future__ import annotations

from santacoder import pytorch

pytorch.require_for_command("train", "python -m train")

import sys
import traceback
import warnings

from santacoder import checkpoints
from santacoder.errors import UserError
from train.arguments import build_parser
from train.core import distributed
from train.core.allocator import keep_freed_memory
from train.execute import execute, how_to_go_on
from train.run.folder import RunFolder, newest_state


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 if training finished, 1 if it stopped early, 2 if the arguments are invalid."""
    args = build_parser(__doc__ or "").parse_args(arguments)
    if arguments is None:  # a process of its own
        keep_freed_memory()
    # torch warns at every state that a single process saves
    warnings.filterwarnings("ignore", "torch.distributed is disabled")
    run = RunFolder(args.output)
    # torchrun restarts all processes with the same command after one has died
    args.resume = args.resume or (distributed.restarted() and newest_state(run.states) is not None)
    try:
        device = getattr(args, "device", run.config().device if args.resume else "cpu")
        with distributed.world(device) as world:
            return 0 if execute(args, run, world).state == "finished" else 1
    except (UserError, checkpoints.CheckpointError) as error:
        return _refuse(error, 2)
    except OSError as error:
        return _refuse(f"Stopped because a file cannot be read or written: {error}. {how_to_go_on(args)}", 1)
    except KeyboardInterrupt:
        return _refuse(f"Stopped. {how_to_go_on(args)}", 1)
    except RuntimeError as error:
        if not distributed.under_torchrun():
            raise
        traceback.print_exc()  # the error may be this process's own
        return _refuse(f"Stopped, probably because another process of the run has ended: {error}", 1)


def _refuse(message: object, code: int) -> int:
    print(message, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

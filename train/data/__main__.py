"""Pack source files into tokens, without training on them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from train.data.arguments import add_source_arguments, pack_sources


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 1 where writing failed, 2 for arguments that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m train.data", description=__doc__)
    add_source_arguments(parser.add_argument_group("what to read (may be combined)"))
    parser.add_argument("--output", type=Path, required=True, help="folder for tokenizer, tokens and manifest")
    args = parser.parse_args(arguments)
    try:
        pack_sources(args, args.output)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(1, f"Stopped, because writing failed: {error}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

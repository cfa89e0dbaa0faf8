"""``python -m train.evaluate``: scores of a published revision."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from santacoder import checkpoints
from train.data.pack import load_packed
from train.evaluate.bits_per_byte import held_out_documents, measure


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 2 for arguments that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
    scores = parser.add_subparsers(required=True)
    bits = scores.add_parser("bits-per-byte", help="on held-out packages, against xz -9 on the same files")
    bits.add_argument("repo", help="model in the store, or a folder with its files")
    bits.add_argument("--revision", default="main", help="branch or commit (default: main)")
    bits.add_argument("--data", type=Path, required=True, help="packed data of the training run (its OUTPUT/data)")
    bits.add_argument("--store", type=Path, default=checkpoints.DEFAULT_STORE, help="folder of published models")
    args = parser.parse_args(arguments)
    try:
        model, tokenizer = checkpoints.load(args.repo, args.revision, store=args.store)
        documents = held_out_documents(load_packed(args.data))
    except (ValueError, checkpoints.CheckpointError) as error:
        parser.exit(2, f"{error}\n")
    score = measure(model, tokenizer, documents)
    print(
        json.dumps(
            {
                "model": f"{args.repo}@{args.revision}",
                "files": len(documents),
                "bytes": score.n_bytes,
                "bits_per_byte": round(score.model, 4),
                "xz_bits_per_byte": round(score.xz, 4),
                "ratio": round(score.ratio, 4),
            },
            indent=1,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

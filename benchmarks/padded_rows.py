"""``python -m benchmarks.padded_rows``: the effect of padding rows of the embedding on probabilities.

transformers includes the rows beyond the tokenizer's vocabulary in the softmax; this project excludes them, because
they belong to no token. The difference of a token's log-probability is the share of probability that they take, which
is the same for every token.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from santacoder import checkpoints

_TEXTS = Path(__file__).resolve().parents[1] / "santacoder"


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.padded_rows")
    parser.add_argument("models", nargs="*", default=["santacoder/mini", "santacoder/nano"], help="models in the store")
    for name in parser.parse_args().models:
        model, tokenizer = checkpoints.load(name)
        n_tokens, length = tokenizer.vocab_size, model.config.n_positions
        ids = [token_id for path in sorted(_TEXTS.glob("*.py")) for token_id in tokenizer.encode(path.read_text())]
        windows = torch.tensor(ids[: len(ids) // length * length]).view(-1, length)[:16]
        logits = torch.cat([model(window[None])[0].float() for window in windows])
        nats = torch.logsumexp(logits, -1) - torch.logsumexp(logits[:, :n_tokens], -1)
        print(
            f"{name}: {logits.shape[1] - n_tokens} rows beyond {n_tokens:,} tokens; over {len(nats):,} of Python "
            f"they take {nats.mean():.4f} nats per token, at most {nats.max():.3f}"
        )


if __name__ == "__main__":
    main()

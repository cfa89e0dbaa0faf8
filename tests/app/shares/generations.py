"""Generations to share, like those of the page."""

from __future__ import annotations

from app.generation.records import Alternative, Candidate, Completion, Generation, Language, Token
from santacoder.sampling import SamplingParams


def completion(text: str, seed: int = 7) -> Completion:
    """A completion of ``text`` with one token per character, each with two alternatives."""
    top = (Alternative("a", 5, -0.25), Alternative("b", 6, -1.5))
    return Completion(text, tuple(Token(character, 9, -0.125, top) for character in text), "length", seed)


def generation(
    *parts: str, texts: tuple[str, ...] = ("pass",), language: Language = "python", revision: str = "main", n: int = 1
) -> Generation:
    return Generation(
        pane="complete" if len(parts) == 1 else "infill",
        language=language,
        parts=parts,
        sampling=SamplingParams(max_new_tokens=20, temperature=0.8, top_p=0.9, seed=7, stop=("\n\n",)),
        fim_order="psm",
        repo_id="santacoder/nano",
        revision=revision,
        sha="0123456789abcdef" * 2 + "01234567",
        runner="torch, fp32, cpu",
        candidates=tuple(Candidate(tuple(completion(text) for text in texts)) for _ in range(n)),
        n_prompt=4,
        seconds_to_first_token=0.25,
        tokens_per_second=100.0,
    )

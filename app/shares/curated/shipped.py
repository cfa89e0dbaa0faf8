"""The shares that come with the repository, for a gallery that would be empty otherwise."""

from __future__ import annotations

import json
from pathlib import Path

from app.generation.records import Generation
from santacoder import checkpoints

SHARES_FILE = Path(__file__).parent / "shares.json"


def shipped_shares(store: Path) -> list[tuple[str, Generation]]:
    """Titles and generations, in the order in which the gallery shows them: those whose commits are in ``store``, so
    that everybody can run them again.
    """
    shares = json.loads(SHARES_FILE.read_text(encoding="utf-8"))
    found = [(share["title"], Generation.from_json(json.dumps(share["generation"]))) for share in shares]
    return [
        (title, generation)
        for title, generation in found
        if checkpoints.is_here(generation.repo_id, generation.sha, store)
    ]

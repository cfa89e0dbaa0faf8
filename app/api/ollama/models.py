"""The models of the store in Ollama's notation: ``repo:latest`` is the branch main, ``repo:branch`` another."""

from __future__ import annotations

from typing import Any

from app.api.running import Server
from santacoder import checkpoints

_EPOCH = "1970-01-01T00:00:00Z"
_NEVER = "9999-12-31T23:59:59Z"


def tags(server: Server) -> list[dict[str, Any]]:
    """Every branch."""
    return [_tag(server, name) for name in server.revisions()]


def loaded(server: Server) -> list[dict[str, Any]]:
    """The models in memory, where they stay until another model needs the memory."""
    engines = dict(server.models.engines())
    found = []
    for name in server.revisions():
        tag = _tag(server, name)
        engine = engines.get(f"{name.partition('@')[0]}@{tag['digest'][:8]}")
        if engine is not None:
            on_gpu = engine.runner.device != "cpu"
            tag["details"] = details(engine.runner.precision)
            found.append(
                {
                    **tag,
                    "expires_at": _NEVER,
                    "size_vram": tag["size"] if on_gpu else 0,
                    "context_length": engine.runner.n_positions,
                }
            )
    return found


def details(precision: str) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": "gpt_bigcode",
        "families": ["gpt_bigcode"],
        "parameter_size": "",
        "quantization_level": precision,
    }


def _tag(server: Server, name: str) -> dict[str, Any]:
    repo_id, _, revision = name.partition("@")
    try:
        snapshot = checkpoints.resolve(repo_id, revision, store=server.settings.store, download=False)
        digest, size = snapshot.name, sum(path.stat().st_size for path in snapshot.glob("*") if path.is_file())
        date = checkpoints.log(repo_id, revision, store=server.settings.store, ask_hub=False)[0].date
    except checkpoints.CheckpointError:
        digest, size, date = "", 0, ""
    tag = f"{repo_id}:{'latest' if revision == 'main' else revision}"
    return {
        "name": tag,
        "model": tag,
        "modified_at": date or _EPOCH,
        "size": size,
        "digest": digest,
        "details": details(""),
    }

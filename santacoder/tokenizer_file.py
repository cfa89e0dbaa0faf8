"""Validation of an untrusted ``tokenizer.json`` before the library builds a tokenizer from it.

A file of a few kilobytes can require gigabytes: a table as long as the largest id, a normalizer that expands one
character to a thousand, or a regular expression that never ends. The library aborts the process if memory runs out.
Therefore only the parts of byte-level BPE are accepted, whose memory and time are proportional to the size of the file
or of the text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.checkpoint_files import read_text, shown
from santacoder.errors import UserError

MAX_TOKENS = 1 << 18
"""Five times as many as SantaCoder has."""
MAX_TOKEN_CHARACTERS = 1024
_MAX_BYTES = 16 << 20
_MAX_PARTS = 8
# the accepted kinds of each part; a normalizer makes a text at most eighteen times as long (NFKD, Unicode Standard
# Annex 15), and all of them take linear time
_PARTS = {
    "normalizer": ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"),
    "pre_tokenizer": ("ByteLevel", "Digits"),
    "post_processor": ("ByteLevel",),
}
_IN_SEQUENCE = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}


def read_tokenizer_file(path: Path) -> str:
    """Read and validate the JSON of a tokenizer.

    Raises:
        CheckpointError: the file is missing or cannot be read.
        UserError: it is not byte-level BPE, or would need too much memory or time.
    """
    text = read_text(path, _MAX_BYTES)
    try:
        return json.dumps(_checked(json.loads(text)))
    except RecursionError as error:
        raise UserError(f"{shown(path)} is not a readable tokenizer.json: it is nested too deeply.") from error
    except ValueError as error:
        raise UserError(f"{shown(path)} is not a readable tokenizer.json: {error}") from error


def _checked(document: Any) -> dict[str, Any]:
    """A copy of ``document`` with only the validated parts.

    A copy is needed because for duplicate keys the library might read another value than Python. Truncation, padding
    and decoding are not taken from the file.

    Raises:
        UserError: a part is invalid; the message is a sentence.
    """
    model = _object(_object(document, "the file").get("model"), "model")
    if model.get("type", "BPE") != "BPE":
        raise UserError(f"its model is {str(model['type'])[:40]!r}, but SantaCoder's is BPE.")
    vocabulary = _object(model.get("vocab"), "vocab")
    added = [_object(token, "an added token") for token in _list(document, "added_tokens")]
    _check_tokens([*vocabulary.items(), *((token.get("content"), token.get("id")) for token in added)])
    merges = _list(model, "merges")
    if len(merges) > MAX_TOKENS:
        raise UserError(f"it has {len(merges):,} merges; at most {MAX_TOKENS:,} are supported.")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise UserError(f"its model has a {name}, which byte-level BPE does not have.")
    unknown = model.get("unk_token")
    if unknown is not None and not (isinstance(unknown, str) and unknown in vocabulary):
        raise UserError("its unk_token is not a token.")
    return {
        "version": "1.0",
        "added_tokens": added,
        **{role: _checked_part(document.get(role), role, known) for role, known in _PARTS.items()},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unknown,
            **{name: model.get(name) is True for name in ("fuse_unk", "byte_fallback", "ignore_merges")},
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _check_tokens(tokens: list[tuple[Any, Any]]) -> None:
    if len(tokens) > 2 * MAX_TOKENS:
        raise UserError(f"it has {len(tokens):,} tokens; at most {MAX_TOKENS:,} are supported.")
    for token, token_id in tokens:
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            raise UserError(
                f"it has a token that is empty or longer than {MAX_TOKEN_CHARACTERS:,} characters: {str(token)[:40]!r}."
            )
        if not isinstance(token_id, int) or isinstance(token_id, bool) or not 0 <= token_id < MAX_TOKENS:
            raise UserError(
                f"the token {token[:40]!r} has the id {str(token_id)[:40]}; ids must be between 0 and "
                f"{MAX_TOKENS - 1:,}."
            )


def _checked_part(part: Any, role: str, known: tuple[str, ...]) -> dict[str, Any] | None:
    """Validate a part of the pipeline, such as the normalizer: one of the ``known`` kinds, or a sequence of them."""
    if part is None:
        return None
    kind = str(_object(part, role).get("type"))
    if kind == "Sequence":
        name = _IN_SEQUENCE[role]
        inner = _list(part, name)
        if len(inner) > _MAX_PARTS:
            raise UserError(f"its {role} has {len(inner)} parts; at most {_MAX_PARTS} are supported.")
        return {"type": kind, name: [_checked_piece(one, role, known) for one in inner]}
    return _checked_piece(part, role, known)


def _checked_piece(part: Any, role: str, known: tuple[str, ...]) -> dict[str, Any]:
    kind = str(_object(part, role).get("type"))
    if kind not in known:
        raise UserError(f"its {role} is of the kind {kind[:40]!r}, but a SantaCoder's are {' and '.join(known)}.")
    return part


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{name} is not an object.")
    return value


def _list(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name) or []
    if not isinstance(found, list):
        raise UserError(f"{name} is not a list.")
    return found

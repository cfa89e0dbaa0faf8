"""A ``tokenizer.json`` of anybody's, checked before the library builds anything of it.

A file of a few kilobytes can ask for gigabytes: a table as long as the largest id, a normalizer that writes a thousand
characters for one, a regular expression that never ends. The library ends the whole process where memory is refused.
So only what byte-level BPE needs is let through, each part of which takes memory and time in proportion to the file or
to the text.
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
# what each role may be played by; a normalizer makes a text at most eighteen times as long (NFKD, Unicode Standard
# Annex 15), and all take linear time
_PARTS = {
    "normalizer": ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"),
    "pre_tokenizer": ("ByteLevel", "Digits"),
    "post_processor": ("ByteLevel",),
}
_IN_SEQUENCE = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}


def read_tokenizer_file(path: Path) -> str:
    """The JSON of a tokenizer that is safe to build.

    Raises:
        CheckpointError: the file is missing or cannot be read.
        UserError: it is no byte-level BPE, or would take more memory or time than one.
    """
    text = read_text(path, _MAX_BYTES)
    try:
        return json.dumps(_checked(json.loads(text)))
    except RecursionError as error:
        raise UserError(f"{shown(path)} is not a readable tokenizer.json: it is nested too deeply.") from error
    except ValueError as error:
        raise UserError(f"{shown(path)} is not a readable tokenizer.json: {error}") from error


def _checked(document: Any) -> dict[str, Any]:
    """``document`` with what was checked and nothing else: of a key that is there twice, the library might read another
    value than Python does. How texts are cut, padded and decoded is not the file's to say.

    Raises:
        UserError: what is wrong with it, as a sentence.
    """
    model = _object(_object(document, "the file").get("model"), "model")
    if model.get("type", "BPE") != "BPE":
        raise UserError(f"its model is {str(model['type'])[:40]!r}, but SantaCoder's is BPE.")
    vocabulary = _object(model.get("vocab"), "vocab")
    added = [_object(token, "an added token") for token in _list(document, "added_tokens")]
    _check_tokens([*vocabulary.items(), *((token.get("content"), token.get("id")) for token in added)])
    merges = _list(model, "merges")
    if len(merges) > MAX_TOKENS:
        raise UserError(f"it has {len(merges):,} merges; {MAX_TOKENS:,} are read.")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise UserError(f"its model has a {name}, which byte-level BPE has not.")
    unknown = model.get("unk_token")
    if unknown is not None and not (isinstance(unknown, str) and unknown in vocabulary):
        raise UserError("its unk_token is no token.")
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
        raise UserError(f"it has {len(tokens):,} tokens; {MAX_TOKENS:,} are read.")
    for token, token_id in tokens:
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            raise UserError(
                f"it has a token of no or more than {MAX_TOKEN_CHARACTERS:,} characters: {str(token)[:40]!r}."
            )
        if not isinstance(token_id, int) or isinstance(token_id, bool) or not 0 <= token_id < MAX_TOKENS:
            raise UserError(
                f"the token {token[:40]!r} has the id {str(token_id)[:40]}; ids go from 0 to {MAX_TOKENS - 1:,}."
            )


def _checked_part(part: Any, role: str, known: tuple[str, ...]) -> dict[str, Any] | None:
    """A part of the pipeline, such as its normalizer, as one of the ``known`` kinds or a sequence of them."""
    if part is None:
        return None
    kind = str(_object(part, role).get("type"))
    if kind == "Sequence":
        name = _IN_SEQUENCE[role]
        inner = _list(part, name)
        if len(inner) > _MAX_PARTS:
            raise UserError(f"its {role} has {len(inner)} parts; {_MAX_PARTS} are read.")
        return {"type": kind, name: [_checked_piece(one, role, known) for one in inner]}
    return _checked_piece(part, role, known)


def _checked_piece(part: Any, role: str, known: tuple[str, ...]) -> dict[str, Any]:
    kind = str(_object(part, role).get("type"))
    if kind not in known:
        raise UserError(f"its {role} is of the kind {kind[:40]!r}, but a SantaCoder's are {' and '.join(known)}.")
    return part


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{name} is no object.")
    return value


def _list(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name) or []
    if not isinstance(found, list):
        raise UserError(f"{name} is no list.")
    return found

"""The header of an index, which anybody may have written: its fields are checked before they are used."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from santacoder.attribution import tokens, winnowing
from santacoder.attribution.contents import SECTIONS, Origin, Parameters

MADE_WITH = {"tokens": tokens.VERSION, "run": winnowing.RUN}
_MAX_WINDOW = 2**24  # more than the tokens of any text
_FEWEST_IN_ORIGIN = 4  # the registry may be left out


class HeaderFlaw(Exception):
    """What is wrong with a header, as the end of a sentence."""


class Header(NamedTuple):
    """``counts`` and ``checksums`` are those of each section; ``compressed`` are the names of sections."""

    made_with: dict[str, Any]
    parameters: Parameters
    compressed: list[str]
    counts: dict[str, int]
    checksums: dict[str, int]
    origins: list[Origin]


def parsed(encoded: bytes) -> Header:
    """The header.

    Raises:
        HeaderFlaw: it is not JSON, or a field is missing or has an impossible value.
    """
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise HeaderFlaw("its header is not JSON") from error
    if not isinstance(header, dict):
        raise HeaderFlaw("its header is not an object")
    made_with: Any = header.get("made_with")
    _require(isinstance(made_with, dict), "made_with")
    compressed = header.get("compressed", [])
    _require(compressed in ([], ["paths"]), "compressed")
    return Header(
        made_with,
        _parameters(header.get("parameters")),
        compressed,
        _numbers(header.get("counts"), "counts"),
        _numbers(header.get("checksums"), "checksums"),
        _origins(header.get("origins")),
    )


def _require(is_possible: bool, field: str) -> None:
    if not is_possible:
        raise HeaderFlaw(f"its header has no usable {field}")


def _parameters(given: Any) -> Parameters:
    _require(isinstance(given, dict) and given.keys() <= {"window", "renamed"}, "parameters")
    parameters = Parameters(**given)
    is_window = type(parameters.window) is int and 1 <= parameters.window <= _MAX_WINDOW
    _require(is_window and isinstance(parameters.renamed, bool), "parameters")
    return parameters


def _numbers(given: Any, field: str) -> dict[str, int]:
    """A whole number of at least 0 for each section; true and false are none."""
    _require(isinstance(given, dict) and given.keys() == SECTIONS.keys(), field)
    _require(all(type(number) is int and number >= 0 for number in given.values()), field)
    return dict(given)


def _origins(given: Any) -> list[Origin]:
    _require(isinstance(given, list) and all(map(_is_origin, given)), "origins")
    return [Origin(*origin) for origin in given]


def _is_origin(given: Any) -> bool:
    if not isinstance(given, list) or not _FEWEST_IN_ORIGIN <= len(given) <= len(Origin._fields):
        return False
    if not all(isinstance(part, str) and _is_unicode(part) for part in given):
        return False
    return Origin(*given).language in tokens.COMMENT_STYLES


def _is_unicode(text: str) -> bool:
    """Whether ``text`` has no lone surrogates, which JSON can name and no response can repeat."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

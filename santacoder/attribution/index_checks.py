"""Whether the sections of an index fit together, so that no query leaves them or gets another answer silently.

Checksums tell damage, not what was written wrongly; whoever writes an index also writes its checksums. All checks are
on whole arrays: those of a million fingerprints take some milliseconds.
"""

from __future__ import annotations

import numpy as np

from santacoder.attribution.contents import ANCHOR_TOKENS, Contents

_MAX_BUCKET_BITS = 32  # of a hash, the bits that select a bucket and the 32 that are stored must not overlap
_POSITIONS = ("token", "byte", "anchor", "path")


def flaw_of(contents: Contents) -> str | None:
    """What is inconsistent, as the end of a sentence; None if nothing is."""
    return (  # in this order, because each check relies on those before it
        _flaw_of_files(contents.files, len(contents.origins))
        or _flaw_of_paths(contents.paths, contents.files["path"])
        or _flaw_of_anchors(contents.anchors, contents.files)
        or _flaw_of_buckets(contents.buckets, len(contents.hashes))
        or _flaw_of_places(contents)
    )


def is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _flaw_of_files(files: np.ndarray, n_origins: int) -> str | None:
    if not len(files):
        return "it has no row for the end of its files"
    for name in _POSITIONS:
        if files[name][0] != 0 or not _ascends(files[name]):
            return f"the positions of its files ({name}) do not ascend from 0"
    if len(files) > 1 and files["origin"][:-1].max() >= n_origins:
        return "a file has no origin"
    return None


def _flaw_of_paths(paths: np.ndarray, begins: np.ndarray) -> str | None:
    if len(paths) != begins[-1]:
        return "its paths have the wrong length"
    if not is_utf8(paths.tobytes()):
        return "its paths are not UTF-8"
    inside = paths[begins[begins < len(paths)]] & 0xC0 == 0x80
    return "a path begins inside a character" if inside.any() else None


def _flaw_of_anchors(anchors: np.ndarray, files: np.ndarray) -> str | None:
    per_file = _steps(files["anchor"])
    expected = -(-_steps(files["token"]) // ANCHOR_TOKENS)
    if len(anchors) != files["anchor"][-1] or not np.array_equal(per_file, expected):
        return "its anchors are not those of its tokens"
    if not len(anchors):
        return None
    sizes = np.repeat(_steps(files["byte"]), per_file)
    starts_file = np.zeros(len(anchors) + 1, bool)
    starts_file[files["anchor"]] = True
    next_in_file = ~starts_file[1:-1]
    if not ((anchors["byte"][1:] > anchors["byte"][:-1]) | ~next_in_file).all() or (anchors["byte"] >= sizes).any():
        return "an anchor is outside its file"
    if not ((anchors["line"][1:] >= anchors["line"][:-1]) | ~next_in_file).all() or not anchors["line"].all():
        return "the lines of its anchors do not ascend from 1"
    return None


def _flaw_of_buckets(buckets: np.ndarray, n_hashes: int) -> str | None:
    bits = (len(buckets) - 1).bit_length() - 1
    if not 1 <= bits <= _MAX_BUCKET_BITS or len(buckets) != 2**bits + 1:
        return "the number of its buckets is not a power of two"
    if buckets[0] != 0 or buckets[-1] != n_hashes or not _ascends(buckets):
        return "its buckets are not those of its fingerprints"
    return None


def _flaw_of_places(contents: Contents) -> str | None:
    places = contents.places
    if len(places) != len(contents.hashes):
        return "its fingerprints do not have one place each"
    if len(places) and places.max() >= contents.files["token"][-1]:
        return "a fingerprint is outside its files"
    return None


def _ascends(numbers: np.ndarray) -> bool:
    """Whether no number is smaller than the one before it."""
    return bool((numbers[1:] >= numbers[:-1]).all())


def _steps(numbers: np.ndarray) -> np.ndarray:
    """The differences of unsigned ``numbers`` [n], which ascend, [n - 1]."""
    return numbers[1:].astype(np.int64) - numbers[:-1]

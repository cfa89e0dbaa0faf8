"""Queries: find the stretches of a text that occur in the indexed files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from santacoder.attribution import index_file
from santacoder.attribution.chains import Chain, chains, occurrences
from santacoder.attribution.contents import ANCHOR_TOKENS
from santacoder.attribution.corpus_text import CorpusText
from santacoder.attribution.spans import MAX_SOURCES, Searched, Source, Span, outermost
from santacoder.attribution.tokens import COMMENT_STYLES, CommentStyle, Tokens, tokenize
from santacoder.attribution.widen import Run, widen
from santacoder.attribution.winnowing import RUN, fingerprints, guaranteed
from santacoder.errors import TextNotSearchable, UserError
from santacoder.tokenizer import require_valid_unicode

MAX_CHARACTERS = 200_000
MAX_LOOKS = 4 * MAX_SOURCES


class AttributionIndex:
    """An open index; thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Open the index in ``folder``.

        Raises:
            AttributionError: there is none, or it cannot be used.
        """
        self.contents = index_file.read(folder / "index.bin")
        text = folder / "text.bin"
        self.text = CorpusText(text, self.contents) if text.exists() else None

    @property
    def searched(self) -> Searched:
        origins = self.contents.origins
        return Searched(
            files=self.contents.n_files,
            bytes=self.contents.n_bytes,
            packages=len({(origin.package, origin.version) for origin in origins}),
            languages=tuple(sorted({origin.language for origin in origins})),
            guaranteed_tokens=self._guaranteed,
            confirmed=self.text is not None,
        )

    def find(self, text: str, language: str | None = None) -> list[Span]:
        """Find all runs of at least ``searched.guaranteed_tokens`` tokens that occur in an indexed file.

        Runs are extended as far as possible and returned in the order of the text, without those inside longer ones.
        ``language`` selects the comment syntax; without it, both are tried. If a run occurs in many files, the eight
        that share most with the surrounding text are returned; the search for them stops after 32 candidates.

        Raises:
            TextNotSearchable: the text is too long or not valid Unicode, or the language is unknown.
            AttributionError: the corpus was changed since it was indexed.
        """
        content = _encoded(text)
        if language is not None and language not in COMMENT_STYLES:
            raise TextNotSearchable(f"Language {language!r} is unknown; supported are {', '.join(COMMENT_STYLES)}.")
        styles = {COMMENT_STYLES[language]} if language else set(COMMENT_STYLES.values())
        characters = _CharacterOffsets(content)
        return outermost(span for style in sorted(styles) for span in self._find(content, style, characters))

    def original(self, source: Source) -> str | None:
        """The original lines, or None if the index has no text.

        Raises:
            AttributionError: the corpus was changed since it was indexed.
        """
        if self.text is None:
            return None
        first, last = source.lines
        lines = self.text.file(source.file).split(b"\n")[first - 1 : last]
        return b"\n".join(lines).decode("utf-8")

    @property
    def _guaranteed(self) -> int:
        return guaranteed(self.contents.parameters.window)

    def _find(self, content: bytes, style: CommentStyle, characters: _CharacterOffsets) -> Iterator[Span]:
        tokens = tokenize(content, style, renamed=self.contents.parameters.renamed)
        hashes, places = fingerprints(tokens.hashes, self.contents.parameters.window)
        found = occurrences(self.contents, hashes)
        runs = self._runs(tokens, places, chains(self.contents, found, places, len(tokens.hashes)))
        by_extent: dict[tuple[int, int], list[Run]] = {}
        for run in runs:
            by_extent.setdefault((run.first, run.last), []).append(run)
        for (first, last), same in by_extent.items():
            one_each = list({run.file: run for run in reversed(same)}.values())[::-1]
            inside = found.n_files[(places >= first) & (places + RUN <= last)]
            yield Span(
                characters.before(int(tokens.starts[first])),
                characters.before(int(tokens.ends[last - 1])),
                last - first,
                tuple(self._source(run) for run in one_each[:MAX_SOURCES]),
                max(int(inside.min()) if len(inside) else 0, len(one_each)),
                confirmed=self.text is not None,
            )

    def _runs(self, tokens: Tokens, places: np.ndarray, candidates: list[Chain]) -> list[Run]:
        """The runs of the most promising chains, longest first."""
        named = np.zeros(len(places), np.int64)  # the number of files in which each fingerprint was found
        named_in: dict[int, np.ndarray] = {}
        looked_at = np.zeros(len(places), np.int64)
        runs: dict[Run, None] = {}
        extents: set[tuple[int, int]] = set()
        for chain in sorted(candidates, key=lambda chain: (chain.first - chain.last, chain.file, chain.place)):
            covered = slice(chain.first, chain.last + 1)
            if ((named[covered] >= MAX_SOURCES) | (looked_at[covered] >= MAX_LOOKS)).all():
                continue
            if any(first <= chain.reach[0] and chain.reach[1] <= last for first, last in extents - {chain.reach}):
                continue  # its run would be inside a longer one, and not be reported
            looked_at[covered] += 1
            found = self._looked_at(tokens, places, chain)
            if found:
                known = named_in.setdefault(chain.file, np.zeros(len(places), bool))
                named[covered] += ~known[covered]
                known[covered] = True
            runs.update(dict.fromkeys(found))
            extents.update((run.first, run.last) for run in found)
        return list(runs)

    def _looked_at(self, tokens: Tokens, places: np.ndarray, chain: Chain) -> list[Run]:
        """The runs that remain of ``chain`` after comparison with the stored text, if there is one."""
        if self.text is None:
            return [self._unconfirmed(chain, places)]
        runs = widen(self.text, tokens, int(places[chain.first]), chain)
        return [run for run in runs if run.last - run.first >= self._guaranteed]

    def _unconfirmed(self, chain: Chain, places: np.ndarray) -> Run:
        first, last = int(places[chain.first]), int(places[chain.last]) + RUN
        begin, end = self.contents.files["anchor"][chain.file : chain.file + 2].tolist()
        lines = self.contents.anchors["line"][begin:end]
        above = (chain.place + last - first) // ANCHOR_TOKENS + 1
        last_line = lines[min(above, len(lines) - 1)]
        return Run(first, last, chain.file, (int(lines[chain.place // ANCHOR_TOKENS]), int(last_line)))

    def _source(self, run: Run) -> Source:
        row, following = self.contents.files[run.file], self.contents.files[run.file + 1]
        path = self.contents.paths[row["path"] : following["path"]].tobytes().decode("utf-8")
        package, version, licence, language, registry = self.contents.origins[row["origin"]]
        return Source(package, version, licence, language, registry, path, run.lines, run.renamed, run.file)


class _CharacterOffsets:
    """Converts UTF-8 byte offsets to character offsets."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def before(self, byte: int) -> int:
        return int(self._counts[byte])

    @cached_property
    def _counts(self) -> np.ndarray:
        codes = np.frombuffer(self._content, np.uint8)
        return np.concatenate([[0], np.cumsum((codes & 0xC0) != 0x80)])


def _encoded(text: str) -> bytes:
    if len(text) > MAX_CHARACTERS:
        raise TextNotSearchable(
            f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} can be looked up at once. "
            "Look it up in parts."
        )
    try:
        return require_valid_unicode(text).encode("utf-8")
    except UserError as error:
        raise TextNotSearchable(str(error)) from None

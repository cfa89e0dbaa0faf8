"""Recall and false positives of decontamination.

    python -m benchmarks.decontamination --benchmarks ../shared/eval FOLDER ...

Each benchmark text is embedded in other code, in four variants: unchanged, indented by eight, with CRLF, and with tabs
for indentation. Detected files of the folders are listed for review, since they may be copies. Folders are read like
those of ``--folder``, and archives in them are read too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from train.data import sources
from train.data.archives import read_archive
from train.data.benchmark_texts import benchmark_texts
from train.data.decontaminate import contaminated
from train.data.source_file import SourceFile, decode

_FORMS = {
    "unchanged": lambda text: text,
    "indented": lambda text: text.replace("\n", "\n        "),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "tabs": lambda text: text.replace("    ", "\t"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decontamination", description=__doc__)
    parser.add_argument("--benchmarks", type=Path, help="folder of the benchmarks' files (default: the Hub)")
    parser.add_argument("folders", nargs="*", type=Path, help="code without benchmark texts")
    args = parser.parse_args()
    print(f"{'recall':42}" + "".join(f"{form:>14}" for form in _FORMS))
    for kind, texts in benchmark_texts(args.benchmarks).items():
        found = [
            sum(map(bool, contaminated([_in_a_file(change(text)) for text in texts]))) for change in _FORMS.values()
        ]
        print(f"{kind:42}" + "".join(f"{number:>7} / {len(texts):<4}" for number in found), flush=True)
    files = [file for folder in args.folders for file in _files(folder)]
    started = time.process_time()
    hits = [file for file, hit in zip(files, contaminated(files), strict=True) if hit]
    for file in hits:
        print(f"found: {file.package} {file.path}")
    megabytes = sum(len(file.text) for file in files) / 1e6
    print(f"{len(hits)} of {len(files):,} files ({megabytes:.1f} MB) found, in {time.process_time() - started:.1f} s")


def _files(folder: Path) -> Iterator[SourceFile]:
    found = [item for source in sources.folder(folder) for item in source.read()]
    for path in sorted(folder.glob("*.*")):
        if path.suffix in (".whl", ".tgz", ".gz", ".xz", ".zip"):
            found += read_archive(path, package=path.name, version="", licence="", stars=0)
    yield from (item for item in found if isinstance(item, SourceFile))


def _in_a_file(text: str) -> SourceFile:
    code = f"import os\n\n\nclass A:\n    pass\n\n{text}\n\nprint(os)\n"
    file = decode(code.encode(), language="python", package="p", version="1", licence="MIT", path="a.py")
    assert isinstance(file, SourceFile)
    return file


if __name__ == "__main__":
    main()

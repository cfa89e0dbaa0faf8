from __future__ import annotations

import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from santacoder.attribution import AttributionIndex, build, index_file
from santacoder.attribution.build import SourceText
from santacoder.attribution.contents import USUAL, Origin, Parameters


class File(NamedTuple):
    """A file to index."""

    path: str
    text: str
    language: str = "python"
    package: str = "harbour"
    version: str = "1.0"
    licence: str = "MIT"
    registry: str = ""

    @property
    def source(self) -> SourceText:
        origin = Origin(self.package, self.version, self.licence, self.language, self.registry)
        return SourceText(origin, self.path, self.text)


def write_index(
    folder: Path, parts: Sequence[Sequence[File]], *, with_text: bool = True, parameters: Parameters = USUAL
) -> AttributionIndex:
    """Write an index of ``parts``, each built separately."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "text.bin").open("wb") as text:
        made = [build.index_part([file.source for file in part], text, parameters) for part in parts]
    merged = build.merge(made, parameters)
    if not with_text:
        (folder / "text.bin").unlink()
    index_file.write(folder / "index.bin", merged)
    return AttributionIndex(folder)


@pytest.fixture
def make_index(tmp_path: Path) -> Callable[..., AttributionIndex]:
    def make(*parts: Sequence[File], with_text: bool = True, parameters: Parameters = USUAL) -> AttributionIndex:
        return write_index(tmp_path / "index", parts, with_text=with_text, parameters=parameters)

    return make


@pytest.fixture(scope="module")
def library() -> list[File]:
    """A hundred files of the standard library."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found = [*sorted(root.glob("*.py"))[:70], *sorted(root.glob("json/*.py")), *sorted(root.glob("email/*.py"))]
    return [File(str(path.relative_to(root)), path.read_text("utf-8"), package="cpython") for path in found]

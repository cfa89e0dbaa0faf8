"""What a project's files give to suggestions: definitions, similar lines, and that both keep up with changes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from lsprotocol import types

from app.lsp.documents import Documents
from app.lsp.language_server import SuggestionServer
from app.lsp.related_code import RelatedCode
from app.project import project_index
from app.project.excerpts import Excerpt
from app.project.project_index import ProjectIndex, project_files

LEDGER = '''"""The ledger of the harbour."""


class TideLedger:
    """Keeps the tides."""

    def note_tide(self, gauge, metres):
        reading = gauge.read_metres(metres)
        self.tides.append(reading)
        return reading
'''
OTHER = "".join(f"value_{number} = {number}\n" for number in range(40))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "ledger.py").write_text(LEDGER)
    (tmp_path / "other.py").write_text(OTHER)
    (tmp_path / "notes.txt").write_text("class Notes:\n")
    return tmp_path


@pytest.fixture
def index(project: Path) -> ProjectIndex:
    index = ProjectIndex(project)
    index.scan()
    return index


def test_definitions_that_one_file_alone_has(index: ProjectIndex, project: Path) -> None:
    found = index.definition("TideLedger", without=None)
    assert found is not None and found.name == "ledger.py" and found.text.startswith("class TideLedger:\n")
    assert index.definition("TideLedger", without=project / "deep" / "ledger.py") is None
    assert index.definition("Notes", without=None) is None
    (project / "second.py").write_text("class TideLedger:\n    pass\n")
    index.scan()
    assert index.definition("TideLedger", without=None) is None


def test_similar_lines_are_those_with_rare_words_in_common(index: ProjectIndex) -> None:
    before = "def note_all(self, gauges):\n    for gauge in gauges:\n        reading = gauge.read_metres(2)\n        "
    (found,) = index.similar(before, "", 1)
    assert found.name == "ledger.py" and "reading = gauge.read_metres(metres)" in found.text
    # not what is shown anyway
    assert index.similar(LEDGER, "", 5) == [] and index.similar("", "", 5) == []
    assert index.similar("nothing_known = 1\n", "", 5) == []
    # two words are too few
    assert index.similar("def read_metres(a, b):\n    ", "", 5) == []


def test_what_is_edited_counts_instead_of_the_file(index: ProjectIndex, project: Path) -> None:
    path = project / "deep" / "ledger.py"
    index.changed(path, lambda: ["class WaveLedger:\n", "    pass\n"])
    index.take_changes()
    assert index.definition("TideLedger", without=None) is None
    assert index.definition("WaveLedger", without=None) is not None
    index.scan()  # the file is open in the editor
    assert index.definition("WaveLedger", without=None) is not None
    index.closed(path)
    index.scan()
    assert index.definition("WaveLedger", without=None) is None
    assert index.definition("TideLedger", without=None) is not None
    path.unlink()
    index.scan()
    assert index.definition("TideLedger", without=None) is None
    index.changed(project.parent / "elsewhere.py", lambda: ["class Elsewhere:\n"])
    index.take_changes()
    assert index.definition("Elsewhere", without=None) is None


def test_nothing_is_left_of_a_file_that_is_gone(index: ProjectIndex, project: Path) -> None:
    for path in (project / "other.py", project / "deep" / "ledger.py"):
        path.unlink()
    index.scan()
    assert not (index._files or index._defining or index._places)


def test_files_that_git_ignores_are_left_out(project: Path) -> None:
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / ".gitignore").write_text("deep/\n")
    index = ProjectIndex(project)
    index.scan()
    assert index.definition("TideLedger", without=None) is None
    assert index.similar("x = value_1 + value_2 + value_3\n", "", 1)[0].name == "other.py"


def test_unusual_files_do_no_harm(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "latin.py").write_bytes(b"class Latin:  # \xe9\n")
    (project / "nul.py").write_bytes(b"class Nul:\n    x = '\0'\n")
    (project / "link.py").symlink_to(project / "other.py")
    (project / "loop.py").symlink_to(project / "loop.py")
    (project / "folder.py").mkdir()
    os.mkfifo(project / "pipe.py")
    (project / "long.py").write_text("x = '" + "a" * 100_000 + "'\n")
    (project / "large.py").write_text("class Large:\n    pass\n" * 100)
    (project / "node_modules").mkdir()
    (project / "node_modules" / "a.js").write_text("class Foreign {}\n")
    monkeypatch.setattr(project_index, "_MOST_BYTES_OF_A_FILE", 1000)
    index = ProjectIndex(project)
    index.scan()
    assert {path.name for path in index._files} == {"ledger.py", "other.py"}
    monkeypatch.setattr(project_index, "_MOST_FILES", 1)
    index = ProjectIndex(project)
    index.scan()
    assert len(index._files) == 1


def test_names_of_files_are_text_of_one_line(project: Path) -> None:
    (project / "deep" / "ledger.py").rename(project / os.fsdecode(b"le\xffd\nger.py"))
    index = ProjectIndex(project)
    index.scan()
    found = index.definition("TideLedger", without=None)
    assert found is not None and found.name == "le\ufffdd\ufffdger.py"


def test_a_file_that_can_no_longer_be_read_is_forgotten(index: ProjectIndex, project: Path) -> None:
    (project / "deep" / "ledger.py").write_bytes(b"class TideLedger:  # \xe9\n")
    index.scan()
    assert index.definition("TideLedger", without=None) is None


def test_a_checkout_does_not_choose_what_is_run(project: Path) -> None:
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    subprocess.run(["git", "-C", str(project), "config", "core.fsmonitor", f"touch {project}/run; false"], check=True)
    assert project_files(project)
    assert not (project / "run").exists()


def test_its_thread_reads_the_files_and_what_is_edited(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_index, "_SECONDS_BETWEEN_CHANGES", 0.01)
    index = ProjectIndex(project)
    index.start()
    while index.definition("TideLedger", without=None) is None:
        pass
    index.changed(project / "new.py", lambda: ["class New:\n"])
    while index.definition("New", without=None) is None:
        pass
    index.end()


def test_files_are_read_again_while_somebody_keeps_editing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_index, "_SECONDS_BETWEEN_CHANGES", 0.01)
    monkeypatch.setattr(project_index, "_SECONDS_BETWEEN_SCANS", 0.1)
    index = ProjectIndex(project)
    index.start()
    while index.definition("TideLedger", without=None) is None:
        pass
    (project / "pulled.py").write_text("class Pulled:\n")
    deadline = time.monotonic() + 10
    while index.definition("Pulled", without=None) is None and time.monotonic() < deadline:
        index.changed(project / "new.py", lambda: ["class New:\n"])
    index.end()
    assert index.definition("Pulled", without=None) is not None


def test_the_project_comes_after_what_is_open(index: ProjectIndex, project: Path) -> None:
    documents = Documents()
    uri = (project / "main.py").as_uri()
    text = "ledger = TideLedger()\nreading = gauge.read_metres("
    documents.open(types.TextDocumentItem(uri, "python", 1, text), "utf-16")
    shapes = types.TextDocumentItem("file:///shapes.py", "python", 1, "class Gauge:\n    x = 1\n")
    documents.open(shapes, "utf-16")
    document = documents.get(uri)
    assert document is not None
    excerpts = RelatedCode(documents, index).excerpts(document, 1, text + "Gauge", "", 1000)
    assert excerpts[0].name == "ledger.py" and "read_metres" in excerpts[0].text  # similar
    assert Excerpt("shapes.py", "class Gauge:\n    x = 1\n") in excerpts
    assert any(excerpt.text.startswith("class TideLedger") for excerpt in excerpts)
    assert sum(len(excerpt.text) for excerpt in excerpts) <= 1000
    few = RelatedCode(documents, index).excerpts(document, 1, text, "", 100)
    assert sum(len(excerpt.text) for excerpt in few) <= 100


def test_documents_in_other_languages_and_large_ones_are_not_indexed(index: ProjectIndex, project: Path) -> None:
    index.changed(project / ".env", lambda: ["SECRET_OF_OURS = 1\n"])
    index.changed(project / "large.py", lambda: ["class LargeOne:\n", *["    value = 1\n"] * 100_000])
    index.changed(project / "small.py", lambda: ["class SmallOne:\n"])
    index.take_changes()
    assert index.definition("SmallOne", without=None) is not None
    assert index.definition("LargeOne", without=None) is None
    assert not index.similar("SECRET_OF_OURS\n", "", 1)


def test_files_of_an_editor_that_is_gone_count_again(index: ProjectIndex, project: Path) -> None:
    server = SuggestionServer(NoBackend(), lambda status: None, index)  # type: ignore[arg-type]
    uri = (project / "other.py").as_uri()
    item = types.TextDocumentItem(uri, "python", 1, "class Unsaved:\n")
    server.protocol.documents.open(item, types.PositionEncodingKind.Utf16)
    server.protocol._index(uri)
    index.take_changes()
    assert index.definition("Unsaved", without=None) is not None
    server.end()
    (project / "other.py").write_text("class Saved:\n")
    index.scan()
    assert index.definition("Unsaved", without=None) is None and index.definition("Saved", without=None) is not None


class NoBackend:
    """Nothing is asked of it."""

"""Which code of other documents a suggestion gets, within its budget, and that it mostly stays while one types."""

from __future__ import annotations

from lsprotocol import types

from app.lsp.documents import Document, Documents
from app.lsp.related_code import Excerpt, RelatedCode

SHAPES = """import math

LIMIT = 9


def area_of_circle(radius):
    return math.pi * radius**2


class Square:
    def __init__(self, side):
        self.side = side
"""
MAIN = "file:///main.py"


def project(*texts: tuple[str, str]) -> tuple[Documents, RelatedCode]:
    documents = Documents()
    for uri, text in texts:
        documents.open(types.TextDocumentItem(uri, "python", 1, text), "utf-16")
    return documents, RelatedCode(documents)


def edit(documents: Documents, uri: str, line: int, text: str) -> None:
    document = found(documents, uri)
    place = types.Position(line, 0)
    change = types.TextDocumentContentChangePartial(types.Range(place, place), text)
    identifier = types.VersionedTextDocumentIdentifier((document.version or 0) + 1, uri)
    documents.change(types.DidChangeTextDocumentParams(identifier, [change]))


def found(documents: Documents, uri: str) -> Document:
    document = documents.get(uri)
    assert document is not None
    return document


def chosen(documents: Documents, related: RelatedCode, before: str, most: int = 1000, line: int = 0) -> list[Excerpt]:
    return related.excerpts(found(documents, MAIN), line, before, "", most)


def test_definitions_of_the_names_in_use() -> None:
    documents, related = project(("file:///shapes.py", SHAPES), (MAIN, "x = 1\n"))
    assert chosen(documents, related, "x = 1\n") == []
    circle = Excerpt("shapes.py", "def area_of_circle(radius):\n    return math.pi * radius**2\n\n\n")
    assert chosen(documents, related, "x = 1\ny = area_of_circle(") == [circle]
    # what comes into use later is added at the end, so that the beginning of the prompt stays
    both = chosen(documents, related, "x = 1\ny = area_of_circle(Square(LIMIT")
    assert both[0] == circle
    assert [excerpt.text.split("\n")[0] for excerpt in both[1:]] == ["LIMIT = 9", "class Square:"]
    # and what is no longer in use stays for a while
    assert chosen(documents, related, "x = 1\n") == both


def test_the_imports_of_the_document_where_its_beginning_is_not_shown() -> None:
    text = "import math\nfrom os import path\n\nx = 1\n"
    documents, related = project((MAIN, text))
    assert chosen(documents, related, text) == []
    assert chosen(*project((MAIN, text)), "x = 1\n") == [Excerpt("main.py", "import math\nfrom os import path\n")]


def test_places_that_were_edited_last_come_first() -> None:
    documents, related = project(("file:///shapes.py", SHAPES), ("file:///other.py", "a = 1\n"), (MAIN, "x = 1\n"))
    edit(documents, "file:///shapes.py", 2, "LIMIT = 10\n")
    excerpts = chosen(documents, related, "x = Square(")
    assert excerpts[0].name == "shapes.py" and "LIMIT = 10\n" in excerpts[0].text
    assert excerpts[1].text.startswith("class Square:")


def test_an_edit_elsewhere_chooses_again_but_ones_own_do_not() -> None:
    documents, related = project(("file:///shapes.py", SHAPES), (MAIN, "x = 1\n"))
    before = chosen(documents, related, "y = area_of_circle(")
    edit(documents, MAIN, 0, "z = 1\n")
    assert chosen(documents, related, "z = 1\n") == before
    edit(documents, "file:///shapes.py", 0, "# more\n")
    assert before[0] not in chosen(documents, related, "z = 1\n")


def test_another_place_chooses_again() -> None:
    documents, related = project(("file:///shapes.py", SHAPES), (MAIN, "x = 1\n"))
    assert chosen(documents, related, "area_of_circle(", line=0)
    assert chosen(documents, related, "x = 1\n", line=30)
    assert not chosen(documents, related, "x = 1\n", line=300)


def test_the_budget_is_kept() -> None:
    texts = [(f"file:///module_{n}.py", f"def function_{n}():\n" + "    pass\n" * 5) for n in range(20)]
    documents, related = project(*texts, (MAIN, "x = 1\n"))
    names = " ".join(f"function_{n}" for n in range(20))
    for most in (0, 50, 200):
        excerpts = chosen(documents, related, names, most)
        assert sum(len(excerpt.name) + len(excerpt.text) for excerpt in excerpts) <= most


def test_only_the_end_of_a_long_text_is_searched_for_names() -> None:
    documents, related = project(("file:///shapes.py", SHAPES), (MAIN, "x = 1\n"))
    assert chosen(documents, related, "area_of_circle(\n" + "x = 1\n" * 1000) == []

"""Comments, strings and docstrings are the same as for the languages' own tokenizers."""

from __future__ import annotations

import ast
import io
import random
import sysconfig
import tokenize
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data.comments import comment_fraction
from train.data.python_lexer import docstring_length, scan
from train.data.slash_comments import java_comments, javascript_comments

STANDARD_LIBRARY = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))


def reference(text: str) -> tuple[list[str], list[str]] | None:
    """Comments and docstrings according to the standard library; None if it cannot tokenise the text."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    return comments, [docstring for node in nodes if (docstring := ast.get_docstring(node))]


@pytest.mark.parametrize("path", random.Random(0).sample(STANDARD_LIBRARY, 60), ids=lambda path: path.name)
def test_the_standard_library_is_read_as_by_itself(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        expected = reference(text)
    except (UnicodeDecodeError, SyntaxError, ValueError):
        pytest.skip("kept broken there, for tests")
    found = scan(text)
    assert (found is None) == (expected is None)
    if found and expected:
        assert [text[start:end] for start, end in found.comments] == expected[0]
        lengths = [docstring_length(text, *span) for span in found.docstrings]
        assert sorted(filter(None, lengths)) == sorted(map(len, expected[1]))


@pytest.mark.parametrize(
    "text",
    [
        "x = (1,\n",
        "x = 1)\n",
        "'''never closed\n",
        'x = """\\',
        "x = '''a\\\\\\",
        "if x:\n        y\n    z\n",
        "if x:\n        y\n    z",
        "x = 1 + \\\n",
        "x = 'a\\\n",
        "def f():\n\ty = '''\n",
    ],
)
def test_what_cannot_be_tokenised_has_no_comments(text: str) -> None:
    assert scan("# here\n" + text) is None
    with pytest.raises(SyntaxError):  # the tokenizer of some versions accepts some of them
        compile(text, "", "exec")


PYTHON = st.sampled_from(
    [
        "# c\n",
        "x = 1\n",
        "'''a\n# b'''\n",
        '"# no"',
        "r'\\'",
        "f(\n",
        ")\n",
        "  ",
        "\n",
        "\\\n",
        "y",
        "#",
        "\t",
        '"""d"""\n',
        "[1]",
        "'''",
        '"""',
        "\\",
    ]
)


def comments_and_strings(text: str) -> tuple[list[str], list[str]] | None:
    """According to the standard library, without the prefixes of strings; None if there is an error in the text."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    if any(token.type == tokenize.ERRORTOKEN for token in tokens):
        return None
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return comments, [token.string.lstrip("r") for token in tokens if token.type == tokenize.STRING]


@given(st.lists(PYTHON, max_size=12).map("".join))
def test_any_python_is_read_as_by_the_standard_library(text: str) -> None:
    found, expected = scan(text), comments_and_strings(text)
    if found is None:
        with pytest.raises((SyntaxError, ValueError)):
            ast.parse(text)
    elif expected is not None:
        assert [text[start:end] for start, end in found.comments] == expected[0]
        assert [text[start:end] for start, end in found.strings] == expected[1]


INSIDE = st.sampled_from(["\\\\", '\\"', "\\'", "\\\n", "\n", "a", "#", "("])


@given(st.sampled_from(["'''", '"""']), st.lists(INSIDE, max_size=12).map("".join), st.sampled_from(["", "\\"]))
def test_an_unclosed_string_is_an_error_wherever_the_text_ends(quote: str, inside: str, last: str) -> None:
    assert scan(f"x = {quote}{inside}{last}") is None


def test_a_megabyte_that_ends_in_a_backslash_is_read_once() -> None:
    text = 'x = """\n' + '\\"""\n' * 200_000 + "\\"
    assert scan(text) is None and comment_fraction(text, "python") == 0  # not once for each quote


# pieces of code, and whether each is a comment
BOTH = [
    ("// it's a comment", True),
    ("/* a \" comment\n * of 'two' lines // */", True),
    ("/**/", True),
    ('s = "/* none */ \\" // none";', False),
    ("c = '\\'';", False),
    ("x = a / b; y = c / d;", False),
    ("if (x) { y(); }", False),
]
JAVA = [*BOTH, ('t = """\n  // none " /* none\n  """;', False), ("List<Map<A, B>> l;", False)]
JAVASCRIPT = [
    *BOTH,
    ("t = `// none ${a + `/* none */`} ' \\` none`;", False),
    ("t = `${ {a: 1} /* a comment */ }`;", "/* a comment */"),
    ("r = /[/\"'`]\\//.test(x);", False),
    ("return /* a comment */ /'/g;", "/* a comment */"),
    ("y = (a) / 2 /* a comment */ / 3;", "/* a comment */"),
    ("f(/`/, x[0] / 2);", False),
    ("p = <a href='x'>it</a>;", False),
]


@pytest.mark.parametrize("comments_of,pieces", [(java_comments, JAVA), (javascript_comments, JAVASCRIPT)])
@given(data=st.data())
def test_comments_of_java_and_javascript(comments_of, pieces, data) -> None:  # type: ignore[no-untyped-def]
    chosen = data.draw(st.lists(st.sampled_from(pieces), max_size=12))
    text = "\n".join(piece for piece, _ in chosen)
    expected = [piece if is_comment is True else is_comment for piece, is_comment in chosen if is_comment]
    assert [text[start:end] for start, end in comments_of(text)] == expected


@pytest.mark.parametrize("comments_of", [java_comments, javascript_comments])
def test_a_comment_that_is_not_closed_is_none(comments_of) -> None:  # type: ignore[no-untyped-def]
    text = "/* one */ x /* two\n// three\n"
    assert [text[start:end] for start, end in comments_of(text)] == ["/* one */", "// three"]


@given(st.text("/*\\\"'`${}[]()\na "))
def test_any_text_has_comments_in_order(text: str) -> None:
    for comments in (java_comments(text), javascript_comments(text)):
        ends = [place for span in comments for place in span]
        assert ends == sorted(ends)
        assert all(text[start:end].startswith(("//", "/*")) for start, end in comments)

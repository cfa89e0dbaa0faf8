"""The ends of lines, blocks and functions, compared with Python's parser, and by hand for other languages."""

from __future__ import annotations

import ast
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.ends.stop_at import end_finder
from santacoder.languages import LANGUAGES, Language
from santacoder.sampling import STOP_AT, StopAt
from tests.conftest import REPOSITORY
from tests.santacoder.engine.ends.pieces import shown_of

PYTHON = sorted((REPOSITORY / "santacoder").rglob("*.py"))
PIECES = ["\n", "    ", "def f():", "if x:", "else:", "return 1", "class A", "{", "}", "(", ")", ";", "'", "x => ", "#"]
PIECES += ["/[", "]", "/", "*", "`", "${", '"', "\\"]


def end_of(prompt: str, text: str, stop_at: StopAt, language: Language | None, *sizes: int) -> str:
    """``text`` up to its end, fed in pieces."""
    finder = end_finder(prompt, stop_at, language)
    assert finder is not None
    return shown_of(finder, text, *sizes or (5,))


def heads(path: Path, kinds: tuple[type[ast.stmt], ...]) -> Iterator[tuple[str, str, str]]:
    """Every statement of these kinds: the file up to its body, the body, and the rest."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and node.body[0].lineno > node.lineno:  # type: ignore[attr-defined]
            first = node.body[0]  # type: ignore[attr-defined]
            line = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", []))])
            while lines[line - 2].strip().startswith("#") or not lines[line - 2].strip():
                line -= 1
            end = node.end_lineno or 0
            while end < len(lines) and lines[end].strip().startswith("#"):
                indent = len(lines[end]) - len(lines[end].lstrip())
                if indent <= node.col_offset:
                    break
                end += 1  # a comment at the end of the block
            head = "".join(lines[: line - 1])
            yield head, "".join(lines[line - 1 : end]), "".join(lines[end:])


@pytest.mark.slow
@pytest.mark.parametrize("with_break", [True, False])
def test_functions_of_python_end_where_its_parser_says(with_break: bool) -> None:
    count = 0
    for path in PYTHON:
        for head, body, rest in heads(path, (ast.FunctionDef, ast.AsyncFunctionDef)):
            prompt, text = (head, body + rest) if with_break else (head[:-1], "\n" + body + rest)
            expected = body.rstrip() if with_break else "\n" + body.rstrip()
            assert end_of(prompt, text, "function", "python").rstrip() == expected, (path, head[-100:])
            count += 1
    assert count > 200


@pytest.mark.slow
def test_statements_of_python_end_where_its_parser_says() -> None:
    kinds = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.FunctionDef, ast.ClassDef)
    count = 0
    for path in PYTHON:
        for head, body, rest in heads(path, kinds):
            if head.rstrip().endswith(":"):
                text = "\n" + body + rest
                assert end_of(head[:-1], text, "block", "python").rstrip() == "\n" + body.rstrip(), (path, head[-99:])
                count += 1
    assert count > 500


CASES: list[tuple[StopAt, Language | None, str, str, str]] = [
    ("line", None, "x = ", "1", "\ny = 2\n"),
    ("line", None, "def f():", "\n    return 1", "\n    x"),
    ("block", None, "def f(x):\n    if x:\n        y = ", "1", "\n    else:\n        y = 2\n"),
    ("block", None, "def f(x):\n    if x:", "\n        y = 1\n    else:\n        y = 2", "\n    return y\n"),
    ("block", None, "try:", "\n    x()\n# unlikely\nexcept E:\n    pass", "\n# then\ny()\n"),
    ("block", None, "def f():\n    if x:", "\n        a()\n# old\n    else:\n        b()", "\n    c()\n"),
    ("block", None, "def f():\n    if x:  # why", "\n        a()", "\n    b()\n"),
    ("function", None, "def f():", "\n    a()\n# old\n    b()", "\n\n# main\ng()\n"),
    ("function", None, "# Area\n", "def f():\n    # first\n# second\n    return 1", "\n\nx = 1\n"),
    ("function", None, "def f():\n    x = 1\n", "# c\n    return x", "\n\nz()\n"),
    ("function", "javascript", "const add = (a, b) =>", " a + b", "\n\nexport default add\n"),
    ("block", "javascript", "if (x)", " return 1", "\nfoo()\nbar()\n"),
    ("block", "javascript", "if (x)", "\n  a()\nelse\n  b()", "\nz()\n"),
    ("block", "javascript", "if (x)", "\n  if (y)\n    a()", "\nb()\n"),
    ("block", "javascript", "let x = ", "i++", "\nlet y\n"),
    ("block", "javascript", "let x = ", "y\n  instanceof b", "\nlet z\n"),
    ("block", "javascript", "do {", "\n  a();\n}\nwhile (x);", "\nb();\n"),
    ("block", "java", "do {", "\n  a();\n} while (x);", "\nb();\n"),
    ("block", "java", "if (x)", "\n  a();\n// unlikely\nelse\n  b();", "\nc();\n"),
    ("block", None, "import ", "os", "\nimport sys\n"),
    ("block", None, "total = sum(", "\n    values\n)", "\nprint(total)\n"),
    ("function", None, "def f(x):\n    if x:\n        return ", "1\n    return 2", "\n\n\ndef g():\n    pass\n"),
    (
        "function",
        None,
        "class P:\n    def x(self):\n        return 1\n\n",
        "    def y(self):\n        return 2",
        "\n\n    x",
    ),
    ("function", None, "import os\n", "import re\n\n\ndef f():\n    return 1", "\n\n\nx = 1\n"),
    (
        "function",
        None,
        "    total = 0\n    for x in ",
        "values:\n        total += x\n    return total",
        "\n\ndef g(): pass",
    ),
    ("function", None, "def f(\n    a,\n", "    b,\n):\n    return a", "\n\ndef g():\n    pass\n"),
    ("function", None, "class A:\n    def f(\n        a,\n", "    ):\n        return a", "\n\n    def g(): pass\n"),
    ("block", None, "x = f(\n    1,\n", "    2)", "\ny = 1\n"),
    ("function", None, "def f():\n    return (1,", " 2", "\n\ndef g():\n    pass\n"),
    ("function", None, 'def f():\n    """Has', '\n\ndef: no\n"""\n    return 1', "\n\nx = 1\n"),
    ("function", None, "async def f():\n", "    await g()", "\nasync def g():\n    pass\n"),
    ("block", "java", "if (x) {", "\n  a();\n}\n// unlikely\nelse {\n  b();\n}", "\n// then\nc();"),
    ("block", "javascript", "while (x) {", "\n  a();\n}", "\n/* then */\nc();"),
    ("function", "java", "class P {\n    int x() {", "\n        return x;\n    }", "\n\n    int y() {\n"),
    ("function", "java", "class P {\n    int x()", " {\n        return '}';\n    }", "\n\n    int y() {\n"),
    (
        "function",
        "java",
        "class P {\n    int x;\n",
        "    int x() throws E {\n        if (x) { y(); }\n    }",
        "\n    int",
    ),
    ("function", "java", "int f(int x) {\n    return x", ";\n}", "\n\nint g() {"),
    ("block", "java", "void f() {\n    if (x) {", "\n        a();\n    } else {\n        b();\n    }", "\n    c();\n}"),
    ("block", "java", "void f() {\n    for (int i = 0; i < 3; i++)", "\n        a();", "\n    c();\n}"),
    ("block", "java", "void f() {\n    a();\n", "    b();\n}", "\n\nvoid g() {"),
    ("function", "javascript", "f('a', function (x) {\n  if (x) {", "\n    y();\n  }\n});", "\n\nf('b'"),
    ("function", "javascript", "A.prototype.f = function () {", "\n  return `}${{}}`; // }\n};", "\n\nA.prototype"),
    ("function", "javascript", "const f = (x) => {", "\n  return x.replace(/[}/]/g, '');\n};", "\nconst g"),
    ("function", "javascript", "class A {\n", "  f(x) {\n    while (x) { x = g(x); }\n  }", "\n\n  g(x) {"),
    ("block", "javascript", "const x = ", "f(1)", "\nconst y = 2\n"),
    ("block", "javascript", "const x = ", "{\n  a: 1,\n};", "\nconst y = 2\n"),
    ("block", "javascript", "try {", "\n  f();\n} catch (e) {\n  g();\n}", "\nh();\n"),
    ("function", "javascript", "const x = ", "() => a()", "\n\nz()"),
    ("function", "javascript", "const x = ", "() => a();", "\n\nz();"),
    ("function", "javascript", "", "const f = x => x + 1;", "\nconst g = 2;"),
    ("function", "javascript", "", "export const f = async (x) =>\n  g(x)", "\n\nconst g = 2"),
    ("function", "javascript", "", "const f = x => ({ a: x })", "\n\nconst g = 2"),
    ("function", "javascript", "", "const f = x => y => { return 1 }", "\n\nconst g = 2"),
    ("function", "javascript", "function f({a, ", " b}) {\n  return a\n}", "\nz()"),
    ("function", "javascript", "function f({a: {c, ", " b}}, d) {\n  return a\n}", "\nz()"),
    ("function", "javascript", "class A {\n  f({ a, ", "b }) {\n    return a\n  }", "\n  g() {}\n}"),
    ("function", "javascript", "f({ a, ", "b })", "\nz()"),
    ("function", "javascript", "function g() {\n  f({ a, ", "b })\n  return 1\n}", "\nz()"),
    ("function", "javascript", "describe('x', () => {\n  f({ a, ", "b })\n  return 1\n})", "\nz()"),
    ("function", "java", "interface A {\n  ", "int f(int a);", "\n\n  int g();\n}"),
    ("function", "java", "interface A {\n  ", "int f(int a) throws X;", "\n\n  int g();\n}"),
    ("function", "java", "class A {\n", "  private int x = f(1);\n  int g() { return 1; }", "\n  int h() {}\n}"),
    ("function", "java", "abstract class A {\n", "  abstract int f();", "\n  int g() { return 1; }\n}"),
    ("function", "java", "class A {\n", "  @X(1)\n  int y;\n  int g() { return 1; }", "\n int h() {} }"),
    ("block", None, "", "@cache\ndef f():\n    return 1", "\n\nx = 2"),
    ("block", None, "@cache\n", "def f():\n    return 1", "\n\nx = 2"),
    ("block", None, "x = 1\n", "@a\n@b(\n  1)\nclass A:\n    x = 1", "\n\nx = 2"),
    ("function", None, "x = 1\n", "@a\n@b(\n  1)\ndef f():\n    x = 1", "\n\nx = 2"),
    ("block", None, "@a", "pp.route('/')\ndef f():\n    x = 1", "\n\nx = 2"),
    ("block", "java", "@Test\n", "void f() {\n  a();\n}", "\nvoid g() {}"),
    ("block", "java", "class A {\n  @Test", "\n  void f() {\n  a();\n}", "\nvoid g() {}"),
    ("function", "javascript", "const C = (x) => (", "\n  <div/>\n)", "\n\nconst D = (y) => { return 1 }\n"),
    ("function", "javascript", "const C = (x) => x.", "y", "\n\nconst D = (y) => { return 1 }\n"),
    ("function", "javascript", "const C = (x) => [", "x, 1]", "\n\nconst D = (y) => { return 1 }\n"),
    ("function", "javascript", "const C = (x) => f(", "x)", "\n\nconst D = (y) => { return 1 }\n"),
    ("function", "javascript", "const C = (x) => !", "x;", "\n\nconst D = (y) => { return 1 }\n"),
    ("function", "javascript", "const C = (x) => x ", "+ 1;", "\n\nconst D = (y) => { return 1 }\n"),
    ("function", "javascript", "const f = ({ a, ", "b }) => a + b", "\n\nz()"),
    ("function", "javascript", "const f = ({ a, ", "b }) => {\n  return a\n}", "\n\nz()"),
    ("function", "javascript", "const f = async ({ a, ", "b }) => a + b", "\n\nz()"),
    ("function", "javascript", "const ys = xs.map(({ a, ", "b }) => a + b)", "\n\nz()"),
    ("block", "javascript", "import { a, ", "b } from 'x'", "\nz()"),
    ("block", "javascript", "import ", "{ a, b } from 'x'", "\nz()"),
    ("block", "javascript", "export ", "{ a, b } from 'x';", "\nz()"),
    ("block", "javascript", "const ", "{ a, b } = require('x')", "\nz()"),
    ("block", "javascript", "const { a, ", "b } = require('x')", "\nz()"),
    ("block", "javascript", "const a = ", "{b: 1}.c", "\nz()"),
    ("block", "javascript", "a = ", "b ? {c: 1} : {d: 2}", "\nz()"),
    ("block", "javascript", "switch (x) {\n  case 1: ", "{\n    a();\n  }\n  case 2: b();\n}", "\nz()"),
    ("block", "javascript", "const config = {\n  a: 1,", "\n  b: { c: 2 },\n};", "\nz()"),
    ("function", "javascript", "export default {\n  name: 'x',", "\n  b: 2,\n}", "\nz()"),
    ("function", "javascript", "function f() {\n  return { a: 1, ", "b: 2 };\n}", "\nz()"),
    ("block", "javascript", "f({ a, ", "b })", "\nz()"),
    ("block", "javascript", "if (x) {\n  const y = { a: 1, ", "b: 2 };", "\n  z()\n}\nq()"),
    ("function", "javascript", "useEffect(() => {", "\n  f()\n}, [a])", "\n\nz()\n"),
    ("function", "javascript", "setTimeout(() => {", "\n  f()\n}, 1000);", "\nz()"),
    ("function", "javascript", "f(() => {", "\n  f()\n},\n  1000)", "\nz()"),
    ("function", "javascript", "(function () {", "\n  f()\n})();", "\nz()"),
    ("function", "javascript", "fetch(x).then((r) => {", "\n  f()\n}).catch(g);", "\nz()"),
    ("function", "javascript", "describe('x', () => {", "\n  f()\n})", "\n\nz()"),
    ("function", "javascript", "function f() {", "\n  return 1\n}", "\n\n(z)()"),
    ("function", "javascript", "const x = { f() {", "\n  return 1\n}", ", g: 2 }\nz()"),
    ("function", "java", "run(() -> {", "\n  f();\n}, 5);", "\ng();"),
    ("function", "javascript", "function f(p) {\n  return p.split(", "/[^\\w/{]/);\n}", "\nvar z = 1;\n"),
    ("function", "javascript", "function f(p) {\n  return ", "/[\\]/{]\\/{/g.test(p) && '\\'{';\n}", "\nvar z = 1;\n"),
    ("function", "javascript", "function f(p) {\n  return ", "`{$\\`{${g({ a: `${p}{` })}\\${`;\n}", "\nvar z = 1;\n"),
    ("function", "java", "int f() {\n  /", "** } **/ char c = '\\'', d = '\"', e = '}'; // }\n}", "\nint g() {\n"),
    ("function", "java", "T f() {\n  return ", '"""\n    }\\""" ""}\n    """ + "" + "\\"}";\n}', "\nint g() {\n"),
    (
        "function",
        "python",
        "def f(x):\n    return ",
        "rb'\\'(' + '' + '''\n'(\\''' ''' + f\"\"\"\n(\"\"\"",
        "\n\nx = (1)\n",
    ),
]


@pytest.mark.parametrize("stop_at,language,prompt,text,rest", CASES)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_text_ends_with_its_line_block_or_function(
    stop_at: StopAt, language: Language | None, prompt: str, text: str, rest: str, size: int
) -> None:
    assert end_of(prompt, text + rest, stop_at, language, size) == text


@given(case=st.sampled_from(CASES), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_code_in_any_pieces_ends_where_the_whole_ends(
    case: tuple[StopAt, Language | None, str, str, str], sizes: list[int]
) -> None:
    stop_at, language, prompt, text, rest = case
    assert end_of(prompt, text + rest, stop_at, language, *sizes) == text


@given(
    prompt=st.lists(st.sampled_from(PIECES), max_size=15),
    text=st.lists(st.sampled_from(PIECES), max_size=25),
    stop_at=st.sampled_from([stop_at for stop_at in STOP_AT if stop_at != "none"]),
    language=st.sampled_from(LANGUAGES),
    sizes=st.lists(st.integers(1, 9), min_size=1),
)
def test_any_pieces_end_where_the_whole_ends(
    prompt: list[str], text: list[str], stop_at: StopAt, language: Language, sizes: list[int]
) -> None:
    given_text = "".join(text)
    end = end_of("".join(prompt), given_text, stop_at, language, 1000)
    assert end_of("".join(prompt), given_text, stop_at, language, *sizes) == end
    # whatever can be written has a beginning
    assert not given_text.strip() or end.strip() or language != "python"


WHOLE: list[tuple[Language, str, str]] = [
    ("java", "int f() {", "\n  return 1;\n}"),
    ("javascript", "function f() {", "\n  return 1\n}"),
    ("python", "def f():", "\n    return 1"),
]


@pytest.mark.parametrize("language,prompt,text", WHOLE)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_document_that_ends_with_a_line_break_ends_like_one_without(
    language: Language, prompt: str, text: str, size: int
) -> None:
    for rest in ("", "\n", "\n\n  "):
        assert end_of(prompt, text + rest, "function", language, size) == text


@pytest.mark.parametrize("bracket", ["(", "[", "{", "f({", "(=>{"])
def test_nested_brackets_take_little_memory(bracket: str) -> None:
    tracemalloc.start()
    finder = end_finder(bracket * 8000, "function", "javascript")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert finder is not None and most < 16e6

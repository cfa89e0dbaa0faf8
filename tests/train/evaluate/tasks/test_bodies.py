"""Bodies of held-out functions: their extent, and the verdicts of the languages' own parsers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from santacoder.languages import Language
from train.evaluate.__main__ import main
from train.evaluate.execution.programs.parse import parse
from train.evaluate.tasks.bodies import Header, function, headers

SOURCES: dict[Language, str] = {
    "python": "import os\n\nclass A:\n    def one(self, x: int) -> int:\n        return x\n\nif x:\n    pass\n",
    "java": "class A {\n  public int one(List<String> x) throws IOException {\n    if (x) {\n      y();\n    }\n  }\n}",
    "javascript": "async function one(x) {\n  if (x) {\n    y();\n  }\n}\nclass A {\n  two(x) {\n    z();\n  }\n}",
}


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("python", ["    def one(self, x: int) -> int:"]),
        ("java", ["  public int one(List<String> x) throws IOException {"]),
        ("javascript", ["async function one(x) {", "  two(x) {"]),
    ],
)
def test_functions_are_found_and_conditions_are_not(language: Language, lines: list[str]) -> None:
    found = headers([SOURCES[language]], language, 10)
    assert [header.line for header in found] == lines
    for header in found:
        assert SOURCES[language].startswith(header.before + header.line + "\n")
        assert (header.before + header.line).endswith(header.prompt.prefix)


def test_a_python_body_ends_where_the_indentation_does() -> None:
    header = Header("f", "python", "", "    def f(x):")
    written = function(header, "\n        if x:\n            return 1\n\n    def g(:\n")
    assert "g" not in written and parse("python", [written]) == [True]
    assert parse("python", [function(header, "\n        return (\n"), function(header, "")]) == [False, False]
    unfinished = function(header, "  # said here\n        return 1\n        x = [1, ")
    assert parse("python", [unfinished]) == [True]


@pytest.mark.parametrize("language", ["java", "javascript"])
def test_a_body_in_braces_ends_with_its_own(language: Language) -> None:
    if shutil.which({"java": "javac", "javascript": "node"}[language]) is None:
        pytest.skip("its parser is not installed")
    line = {"java": "  int f(int x) {", "javascript": "export default function(x) {"}[language]
    header = Header("f", language, "", line)
    completions = {
        '\n  if (x > 1) { g("}"); } // }\n  return 1;\n}\n} broken (': True,
        "\n  return 1;\n  if (x > 1) {\n    g(": True,  # cut behind its last whole line, and closed
        "\n  return (1;\n}\n": False,
        "\n  if (x > 1) }\n": False,
    }
    sources = [function(header, completion) for completion in completions]
    assert parse(language, sources) == list(completions.values())
    assert parse(language, []) == []


RIGHT: dict[Language, list[tuple[str, str]]] = {
    "python": [
        ("def f(x):", " return x"),
        ("def f(x):", "\n    return x"),
        ("    def f(self):", '\n        return """\nless\n"""\n'),
        ("    def f(self):", '\n        """Say.\n    more\n"""\n        return 1\n'),
    ],
    "java": [
        ("  public Point(int x) {", "\n    this.x = x;\n  }\n"),
        ("  protected <T> Point(T x) throws IOException {", "\n    super(x);\n  }\n"),
        ("  private Point() {", "\n    this(0);\n  }\n"),
        ("  public Point copy(int x) {", "\n    return new Point(x);\n  }\n"),
        ("  default void f() {", "\n  }\n"),
        ("  static <T> T f(T x) {", "\n    char c = '}';\n    return x;\n  }\n"),
        ("  String f() {", '\n    return """\n  } "\n""";\n  }\n'),
    ],
    "javascript": [
        ("export default function (a) {", "\n  return a;\n}\n"),
        ("function(a) {", "\n  return a;\n}\n"),
        ("function* (a) {", "\n  yield a;\n}\n"),
        ("async function f(a) {", "\n  a(function (b) {\n    return b;\n  });\n  await a;\n}\n"),
        ("  constructor(a) {", "\n    super(a);\n  }\n"),
        ("  constructor(a) {", "\n    this.a = a;\n  }\n"),
        ("  static async f() {", "\n    await super.f();\n  }\n"),
        ("function f() {", "\n  return `}${{ a: 1 }.a}`;\n}\n"),
        ("function f(x) {", "\n  return /[}'/]/.test(x);\n}\n"),
    ],
}


@pytest.mark.parametrize("language", RIGHT)
def test_right_bodies_of_all_kinds_parse(language: Language) -> None:
    if language != "python" and shutil.which({"java": "javac", "javascript": "node"}[language]) is None:
        pytest.skip("its parser is not installed")
    sources = []
    for line, completion in RIGHT[language]:
        [header] = headers([f"{line}\n"], language, 1)
        sources.append(function(header, completion))
        if completion.endswith("\n"):
            assert function(header, completion + "} broken (\n") == sources[-1]
    assert dict(zip(sources, parse(language, sources), strict=True)) == dict.fromkeys(sources, True)


def test_bodies_have_no_benchmark_s_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bodies", "mine/coder", "--held-out", str(tmp_path), "--data", str(tmp_path)])
    assert ended.value.code == 2 and "unrecognized arguments: --data" in capsys.readouterr().err

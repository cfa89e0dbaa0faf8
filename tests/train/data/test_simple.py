"""Files that suit a small model, and files that do not."""

from __future__ import annotations

import pytest

from train.data.simple import LONGEST_FUNCTION, TABLE, TOO_LONG_TO_READ, common_words, not_simple
from train.data.source_file import SourceFile

FUNCTIONS = {
    "python": 'def area(width, height):\n    """The area of a box."""\n{body}    return width * height\n',
    "java": "class Box {\n    int area(int width, int height) {\n{body}    return width * height;\n    }\n}\n",
    "javascript": "function area(width, height) {\n{body}    return width * height;\n}\n",
}
WORDS = {"area", "width", "height", "return", "the", "box", "class", "int", "function", "def", "of", "value"}


def problem(language: str, text: str, path: str = "f") -> str | None:
    return not_simple([SourceFile("p", "1", "MIT", path, language, text)], WORDS)[0]


def function(language: str, body: str = "") -> str:
    return FUNCTIONS[language].replace("{body}", body)


@pytest.mark.parametrize("language", FUNCTIONS)
def test_a_short_documented_function_stays(language: str) -> None:
    assert problem(language, function(language)) is None
    assert problem(language, "value = 1\n" if language == "python" else "// the value\n") == "no function"


@pytest.mark.parametrize(
    ("language", "tests", "others"),
    [
        ("python", ["tests/shapes.py", "box/test/shapes.py", "box/test_area.py", "area_test.py", "conftest.py"],
         ["box/testing.py", "box/latest.py", "box/contest/area.py"]),
        ("java", ["src/test/java/box/Area.java", "box/AreaTest.java", "box/AreaTests.java"],
         ["box/Latest.java", "box/test.java"]),
        ("javascript", ["test/area.js", "__tests__/area.js", "src/area.test.js", "area.spec.mjs", "area-spec.js"],
         ["src/latest.js", "src/test.js"]),
    ],
)  # fmt: skip
def test_tests_go(language: str, tests: list[str], others: list[str]) -> None:
    for path in tests:
        assert problem(language, function(language), path) == "a test", path
    for path in others:
        assert problem(language, function(language), path) is None, path


@pytest.mark.parametrize("language", FUNCTIONS)
def test_functions_may_have_so_many_lines(language: str) -> None:
    line = "    width = height\n" if language == "python" else "    width = height;\n"
    around = function(language).count("\n") - {"python": 1, "java": 2, "javascript": 0}[language]  # docstring, class
    short = 12 * function(language)  # so that the mean does not decide
    assert problem(language, short + function(language, line * (LONGEST_FUNCTION - around))) is None
    assert problem(language, short + function(language, line * (LONGEST_FUNCTION - around + 1))) == "long functions"
    assert problem(language, 3 * function(language, line * 30)) == "long functions"


def test_a_docstring_does_not_make_a_function_long() -> None:
    documented = function("python", "    width = height\n").replace("of a box", "of a box\n" * LONGEST_FUNCTION)
    assert problem("python", documented) is None
    assert problem("python", documented.replace('    """The', '    return """The')) == "long functions"


@pytest.mark.parametrize(
    ("language", "table"),
    [
        ("python", "value = [{}]\n"),
        ("python", "value = {{'width': [{}]}}\n"),
        ("java", "class Box {{ int[] value = {{{}}}; }}\n"),
        ("javascript", "const value = [{}];\n"),
    ],
)
def test_tables_of_data_go(language: str, table: str) -> None:
    enough = 30 * function(language)
    assert problem(language, enough + table.format(", ".join(["1"] * TABLE))) == "a table of data"
    assert problem(language, enough + table.format(", ".join(["1"] * (TABLE - 1)))) is None
    assert problem(language, enough + table.format(", ".join(["width"] * TABLE))) is None


def test_literals_are_counted_and_docstrings_are_not() -> None:
    assert problem("python", function("python", '    width = "{}"\n'.format("the width " * 9))) == "mostly literals"
    assert problem("python", function("python", '    """{}"""\n'.format("the width " * 9))) is None


def test_words_are_common_when_many_packages_use_them() -> None:
    files = [
        SourceFile(f"p{n}", "1", "MIT", "f.py", "python", f"getWidth = HTTP_width + rare{'abc'[n] * 3}")
        for n in range(3)
    ]
    files.append(SourceFile("p0", "1", "MIT", "g.py", "python", "quux " * 100))
    assert common_words(files, 3) == ["get", "http", "width"]
    assert problem("python", function("python", "    zyx = qwert(uiop, width)\n")) == "uncommon words"


def test_syntax_that_would_take_hours_to_read_is_given_up() -> None:
    functions = {language: function(language) for language in FUNCTIONS}
    hostile = SourceFile("p", "1", "MIT", "f", "java", functions["java"] + "a=/" * 40_000)
    ordinary = SourceFile("p", "1", "MIT", "f", "python", functions["python"] + "value = 1\n" * 400)
    assert not_simple([hostile, ordinary], WORDS) == [TOO_LONG_TO_READ, None]

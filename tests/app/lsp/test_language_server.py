"""The protocol as editors speak it, with pygls' client: an engine inside over stdio, a server elsewhere over TCP."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from app.lsp.backends import BackendError
from app.lsp.engine_inside import EngineInside, engine_inside
from app.lsp.server_elsewhere import ServerElsewhere
from app.settings import Settings
from app.tune.tuned_model import tuned_model
from santacoder import checkpoints
from santacoder.checkpoints.store import repo_folder
from tests.app.api.conftest import Serving, run_apart, serve
from tests.app.lsp.conftest import AUTOMATIC, ENVIRONMENT, INVOKED, SECONDS, Editor

TEXT = "def area(w, h):\n    ret\n\n\nprint(area(2, 3))\n"
AT = (1, 7)
# the random model ends texts early where it is unsure
SURE = {"min_logprob": None, "debounce_ms": 0}


def infilled(serving: Serving, prefix: str, suffix: str, **fields: object) -> str:
    """What the server fills in, without a language server."""
    body = {"input_prefix": prefix, "input_suffix": suffix, "temperature": 0, "n_predict": 64, "stop_repetition": True}
    answer = httpx.post(f"{serving.url}/infill", json={**body, "stop_at": "line", "language": "python", **fields})
    return str(answer.raise_for_status().json()["content"])


@pytest.fixture(scope="module")
def inside(store: Path) -> Iterator[Editor]:
    """An editor with a language server of its own."""
    editor = Editor()
    editor.start("--model", "test/tiny", "--store", str(store), "--device", "cpu")
    editor.initialize(SURE)
    yield editor
    assert editor.leave() == 0


def test_a_suggestion_replaces_what_has_been_typed_of_a_word(inside: Editor, editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    start = TEXT.index("ret") + 3
    expected = "ret" + infilled(serving, TEXT[:start], TEXT[start:])
    for one in (inside, editor):
        one.open(TEXT)
        items = one.suggestions(*AT, AUTOMATIC)
        assert [item.insert_text for item in items] == [expected]
        assert items[0].range == types.Range(types.Position(1, 4), types.Position(1, 7))
        assert not one.messages
        one.close()


def test_several_candidates_when_asked_for(inside: Editor) -> None:
    inside.open(TEXT)
    texts = [item.insert_text for item in inside.suggestions(*AT, INVOKED)]
    assert 1 < len(texts) <= 3 and len(set(texts)) == len(texts)
    assert texts[0] == inside.suggestions(*AT, AUTOMATIC)[0].insert_text
    inside.close()


def test_capabilities(inside: Editor, editor: Editor) -> None:
    editor.initialize(inline=False, encodings=("utf-8", "utf-16"))
    for one in (inside, editor):
        assert one.capabilities is not None
        assert one.capabilities.inline_completion_provider is not None
    assert inside.capabilities is not None and editor.capabilities is not None
    assert inside.capabilities.completion_provider is None
    assert editor.capabilities.completion_provider is not None
    assert (inside.capabilities.position_encoding, editor.capabilities.position_encoding) == ("utf-16", "utf-8")
    sync = inside.capabilities.text_document_sync
    assert isinstance(sync, types.TextDocumentSyncOptions)
    assert sync.open_close and sync.change == types.TextDocumentSyncKind.Incremental
    assert inside.server is not None and re.fullmatch(r"\d+\.\d+.*", inside.server.version or "")


def test_completion_for_editors_that_know_only_that(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE, inline=False)
    editor.open(TEXT)
    params = types.CompletionParams(types.TextDocumentIdentifier("file:///project/area.py"), types.Position(*AT))
    found = editor.run(editor.client.text_document_completion_async(params))
    assert isinstance(found, types.CompletionList)
    [item] = found.items
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.new_text == editor.suggestions(*AT, AUTOMATIC)[0].insert_text
    assert item.text_edit.range == types.Range(types.Position(1, 4), types.Position(1, 7))
    assert "\n" not in item.label and item.filter_text is not None and item.filter_text.startswith("ret")


def test_the_entry_selected_in_the_editors_own_list_is_continued(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    editor.open(TEXT)
    place = types.Range(types.Position(1, 4), types.Position(1, 7))
    [item] = editor.suggestions(*AT, AUTOMATIC, types.SelectedCompletionInfo(place, "return"))
    before, after = TEXT.split("ret\n")
    assert item.insert_text == "return" + infilled(serving, f"{before}return", f"\n{after}")
    assert item.range == place


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 16), ("utf-16", 12), ("utf-32", 11)])
def test_positions_count_in_the_negotiated_units(
    editor: Editor, serving: Serving, encoding: str, character: int
) -> None:
    editor.initialize(SURE, (encoding,))
    editor.open('x = "€😀" + are\r\nprint(x)\r\n')
    [item] = editor.suggestions(0, character + 3, AUTOMATIC)
    text = infilled(serving, 'x = "€😀" + are', "\nprint(x)\n")
    assert item.insert_text == "are" + text.replace("\n", "\r\n")
    assert item.range is not None
    assert (item.range.start.character, item.range.end.character) == (character, character + 3)


def test_nothing_for_an_empty_document(inside: Editor, editor: Editor) -> None:
    editor.initialize(SURE)
    for one in (inside, editor):
        one.open("")
        for kind in (AUTOMATIC, INVOKED):
            assert one.suggestions(0, 0, kind) == []
        assert not one.messages
        one.close()


def test_blocks_behind_headers_and_crlf(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    editor.open("def area(w, h):\r\n\r\n\r\nprint(area(2, 3))\r\n")
    suggested = [item.insert_text for item in editor.suggestions(0, 15, AUTOMATIC)]
    text = infilled(serving, "def area(w, h):", "\n\n\nprint(area(2, 3))\n", stop_at="block")
    assert suggested == [text.rstrip(" \t").replace("\n", "\r\n")] * bool(text.strip())


def test_nothing_where_the_model_is_unsure(editor: Editor) -> None:
    editor.initialize({"min_logprob": -0.0001, "debounce_ms": 0})
    editor.open(TEXT)
    assert editor.suggestions(*AT, AUTOMATIC) == []
    assert editor.suggestions(*AT, INVOKED)


def test_code_of_other_documents_comes_first(editor: Editor, serving: Serving) -> None:
    editor.initialize({**SURE, "max_tokens": 8})
    editor.open("def half(x):\n    return x / 2\n", uri="file:///project/tools.py")
    editor.open("half(")
    [item] = editor.suggestions(0, 5, AUTOMATIC)
    extra = {"filename": "tools.py", "text": "def half(x):\n    return x / 2\n"}
    assert item.insert_text == infilled(serving, "half(", "", input_extra=[extra], n_predict=8)
    assert item.insert_text != infilled(serving, "half(", "", n_predict=8)
    editor.close("file:///project/tools.py")


def test_settings_are_asked_for_and_wrong_ones_named(port: int) -> None:
    editor = Editor({"max_tokens": "many", "colour": "red", "min_logprob": -0.0001, "debounce_ms": 0})
    editor.run(editor.client.start_tcp("127.0.0.1", port))
    editor.initialize({"candidates": 0})
    said = [editor.wait_for_message() for _ in range(3)]
    assert ["santacoder.candidates" in said[0], "santacoder.max_tokens" in said[1], "santacoder.colour" in said[2]]
    assert all("was ignored" in sentence for sentence in said)
    editor.open(TEXT)
    assert editor.suggestions(*AT, AUTOMATIC) == []
    editor.configure({"santacoder": {"min_logprob": None}})
    assert editor.suggestions(*AT, AUTOMATIC)
    editor.leave()


def test_a_newer_request_supersedes_and_a_cancelled_one_ends(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    editor.open(TEXT)
    with serving.failing(seconds=0.05):
        older, newer = editor.asking(*AT), editor.asking(*AT)
        assert (list(older.result(SECONDS).items), len(newer.result(SECONDS).items) > 0) == ([], True)
    with serving.failing(seconds=0.6):  # its texts would take longer than the wait at the end
        cancelled = editor.asking(*AT)
        params = types.CancelParams(next(iter(editor.client.protocol._request_futures)))
        editor.call(lambda: editor.client.cancel_request(params))
        with pytest.raises(JsonRpcException) as error:
            cancelled.result(SECONDS)
        assert error.value.code == types.LSPErrorCodes.RequestCancelled
        serving.wait_until_idle()
    assert not editor.messages


def test_requests_that_come_fast_wait_for_a_pause(editor: Editor) -> None:
    editor.initialize({**SURE, "debounce_ms": 10_000})
    editor.open(TEXT)
    assert editor.suggestions(*AT, AUTOMATIC)  # the first does not wait
    editor.type(0, 0, "#\n")
    waiting = editor.asking(2, 7, AUTOMATIC)
    assert editor.suggestions(2, 7, INVOKED)  # nor do those that the user asks for, which supersede
    assert list(waiting.result(SECONDS).items) == []


def test_a_suggestion_that_is_being_typed_stays(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    editor.open(TEXT)
    [item] = editor.suggestions(*AT, AUTOMATIC)
    text = str(item.insert_text)
    with serving.failing(RuntimeError("nobody should ask")):
        for count, character in enumerate(text[3:5], 1):
            editor.type(1, 6 + count, character)
            [again] = editor.suggestions(1, 7 + count, AUTOMATIC)
            line = f"    ret{text[3 : 3 + count]}"
            assert again.range is not None
            assert line[: again.range.start.character] + str(again.insert_text) == f"    {text}"
        editor.type(1, 9, "~")  # something else
        with pytest.raises(JsonRpcException, match="could not be run"):
            editor.suggestions(1, 10, AUTOMATIC)


@pytest.mark.slow
def test_an_answer_about_an_older_text_is_empty(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    editor.open(TEXT)
    with serving.failing(seconds=0.05):
        asked = editor.asking(*AT)
        editor.type(0, 0, "# the area\n")
        assert list(asked.result(SECONDS).items) == []


def counted(serving: Serving) -> dict[str, int]:
    """Emacs' events so far, by what happened."""
    lines = httpx.get(f"{serving.url}/metrics").text.splitlines()
    found = [re.match(r'santacoder_suggestions_total.*editor="emacs",event="(\w+)".* (\S+)$', line) for line in lines]
    return {match[1]: int(float(match[2])) for match in found if match}


def test_what_becomes_of_suggestions_is_reported_to_the_server(port: int, serving: Serving) -> None:
    def wait_for(**events: int) -> None:
        deadline = time.monotonic() + SECONDS
        while counted(serving) != events:
            assert time.monotonic() < deadline, (counted(serving), events)
            time.sleep(0.05)

    editor = Editor(name="GNU Emacs")
    editor.run(editor.client.start_tcp("127.0.0.1", port))
    editor.initialize(SURE)
    editor.open(TEXT)
    [item] = editor.suggestions(*AT, AUTOMATIC)
    wait_for(shown=1)
    assert editor.suggestions(*AT, AUTOMATIC)  # the same again is the same suggestion
    editor.accept(item)
    wait_for(shown=1, accepted=1)
    editor.accept(item)  # it is not in view any more
    assert editor.suggestions(*AT, AUTOMATIC)
    editor.close()
    wait_for(shown=2, accepted=1, dismissed=1)
    editor.leave()


def test_wrong_requests_are_answered_with_an_error(port: int) -> None:
    """As bytes, since pygls' client sends nothing wrong."""
    document = {"uri": "file:///project/area.py"}
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        answers = connection.makefile("rb")

        def answer(body: bytes) -> dict[str, Any]:
            connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            length = int(answers.readline().split(b":")[1])
            while answers.readline().strip():
                pass
            return dict(json.loads(answers.read(length)))

        def asked(number: int, method: str, params: object) -> dict[str, Any]:
            return answer(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode())

        assert "capabilities" in asked(0, "initialize", {"capabilities": {}, "processId": None})["result"]
        for number, position in enumerate(({"line": -1, "character": 0}, {"line": "one", "character": 0}, {}, None), 1):
            params = {"textDocument": document, "position": position, "context": {"triggerKind": 1}}
            refused = asked(number, types.TEXT_DOCUMENT_INLINE_COMPLETION, params)
            assert refused["id"] == number and refused["error"]["code"] == types.ErrorCodes.InvalidParams
        assert asked(5, "textDocument/none", {})["error"]["code"] == types.ErrorCodes.MethodNotFound
        assert "cannot read" in answer(b"{not JSON")["params"]["message"]
        assert asked(6, "shutdown", None)["result"] is None


def test_requests_after_the_end_are_refused(port: int) -> None:
    editor = Editor()
    editor.run(editor.client.start_tcp("127.0.0.1", port))
    editor.initialize(SURE)
    editor.open(TEXT)
    editor.run(editor.client.shutdown_async(None))
    with pytest.raises(JsonRpcException, match="shutting down"):
        editor.suggestions(*AT)
    editor.call(lambda: editor.client.exit(None))


def test_a_failure_of_the_engine_is_told_and_passes(editor: Editor, serving: Serving) -> None:
    editor.initialize(SURE)
    editor.open(TEXT)
    with serving.failing(RuntimeError("out of order")):
        for _ in range(2):
            with pytest.raises(JsonRpcException, match="could not be run"):
                editor.suggestions(*AT)
    assert "could not be run" in editor.wait_for_message()
    assert not editor.messages  # not again for the same failure
    assert editor.suggestions(*AT)


def test_a_model_that_is_missing_is_told(store: Path) -> None:
    with pytest.raises(BackendError, match="test/none"):
        run_apart(EngineInside(Settings(store=store, model="test/none")).n_positions())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_missing_is_told(store: Path) -> None:
    with pytest.raises(BackendError, match="no GPU|cuda"):
        engine_inside({"store": store, "model": "test/tiny", "device": "cuda"})


def test_a_server_that_cannot_be_reached_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(BackendError, match=f"The server at {url} cannot be reached"):
        run_apart(ServerElsewhere(url, None, None).suggest({}))


def test_a_wrong_key_is_told(store: Path) -> None:
    with (
        serve(Settings(store=store, model="test/tiny", device="cpu", page=False, api_keys="right")) as serving,
        pytest.raises(BackendError, match="refused the request: .*key"),
    ):
        assert run_apart(ServerElsewhere(serving.url, "right", None).n_positions()) == 128
        run_apart(ServerElsewhere(serving.url, "wrong", None).suggest({}))


def test_edits_of_a_large_document_do_not_make_it_late(editor: Editor, language_server: subprocess.Popen[str]) -> None:
    """An edit in a document of 1 MB costs the processor about what it costs in a small one."""
    editor.initialize(SURE)
    process = psutil.Process(language_server.pid)

    def seconds(text: str) -> float:
        editor.open(text)
        line = text.count("\n") // 2
        editor.suggestions(line, 0, AUTOMATIC)
        before = process.cpu_times()
        for column in range(200):
            editor.type(line, column, "x")
        editor.suggestions(line, 200, AUTOMATIC)
        after = process.cpu_times()
        editor.close()
        return after.user + after.system - before.user - before.system

    assert seconds("value = 1\n" * 100_000) < 2 * seconds("value = 1\n" * 100) + 0.2


@pytest.mark.slow
def test_a_project_gives_context_and_a_tuned_model_takes_over(store: Path, serving: Serving, tmp_path: Path) -> None:
    own, project = tmp_path / "store", tmp_path / "code"
    shutil.copytree(store, own)
    project.mkdir()
    (project / "shapes.py").write_text("class Square:\n    side = 1\n")
    editor = Editor()
    options = ["--model", "test/tiny", "--store", str(own), "--device", "cpu", "--project", str(project)]
    editor.start(*options)
    editor.initialize({**SURE, "context_tokens": 60})
    text = "x = Square("
    extra = [{"filename": "shapes.py", "text": "class Square:\n    side = 1\n"}]
    expected = infilled(serving, text, "", input_extra=extra)
    assert expected != infilled(serving, text, "")
    written: list[str | types.StringValue] = []
    while written != [expected]:  # until the index has been read
        editor.open(text)
        written = [item.insert_text for item in editor.suggestions(0, len(text), AUTOMATIC)]
        editor.close()
    assert not editor.messages
    model, tokenizer = checkpoints.load("test/tiny", "other", store=own)
    name = tuned_model(project)
    checkpoints.publish(model, tokenizer, name, dtype=torch.float32, store=own)
    editor.open(text)
    (item,) = editor.suggestions(0, len(text), AUTOMATIC)
    assert item.insert_text == infilled(serving, text, "", input_extra=extra, model="test/tiny@other") != expected
    assert editor.wait_for_message() == f"Suggestions now come from {name}@main."
    editor.close()
    # a commit of it whose weights are damaged
    sha = checkpoints.publish(model, tokenizer, name, step=2, store=own)
    weights = repo_folder(name, own) / "snapshots" / sha / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    editor.open(text)
    (item,) = editor.suggestions(0, len(text), AUTOMATIC)
    assert item.insert_text == expected
    said = {editor.wait_for_message(), editor.wait_for_message()}
    assert "Suggestions now come from test/tiny@main." in said
    assert any(
        f"The model tuned to {project} cannot be loaded" in one and str(weights.parents[2]) in one for one in said
    )
    assert editor.leave() == 0
    command = [sys.executable, "-m", "app.lsp", "--project", str(tmp_path / "missing")]
    refused = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert refused.returncode == 1 and "is not a folder" in refused.stderr


@pytest.mark.slow
def test_the_engine_inside_counts_its_suggestions(store: Path, tmp_path: Path) -> None:
    data = {**ENVIRONMENT, "XDG_DATA_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "app.lsp", "--acceptance"]
    table = partial(subprocess.run, command, capture_output=True, text=True, env=data, check=True)
    assert table().stdout.startswith("Nothing has been counted yet.")

    async def count() -> None:
        engine = EngineInside(Settings(store=store, model="test/tiny", device="cpu"))
        model = (await engine.suggest({"input_prefix": "x = ", "n_predict": 2})).model
        for event in ("shown", "accepted", "shown", "dismissed"):
            await engine.report({"event": event, "model": model, "language": "python", "editor": "Neovim"})
        engine.close()

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_DATA_HOME", str(tmp_path))
        run_apart(count())
    (row,) = [line.split() for line in table().stdout.splitlines() if line.startswith("test/tiny")]
    assert row[:6] == ["test/tiny@main", "python", "neovim", "1", "of", "2"]

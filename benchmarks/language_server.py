"""From a keystroke to the suggestion through the language server, and through /infill as llama.vim asks for it.

    python -m benchmarks.language_server [--keystrokes 120] [--context 1500] [--model santacoder/mini]

A line is typed character by character inside code of ``--context`` tokens. After each keystroke the editor tells the
language server of the edit and asks for an automatic suggestion; it is timed from the edit to the response, over stdio,
with the engine inside. In turn with it, the same line is sent to /infill of a server, as in
benchmarks/typing_latency.py. A model with too few positions is served as a copy with repeated position embeddings.
While the line agrees with the last suggestion, the language server does not ask the model (app/lsp/typed_through.py);
these keystrokes are also reported apart. Prints a table and, as the last line, JSON. Needs requirements-test.lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from benchmarks.typing_latency import DEFAULT_MODEL, TYPED, context, roomy, served, suggest

URI = "file:///typed.py"
# Positions for the typed line, the suggestion and the sentinel tokens. The language server also keeps some free for
# code from other documents, and counts three characters a token, so it needs more to send the whole context.
_ROOM = 600
_KEPT, _ASKED = "language server, suggestion kept", "language server, model asked"
_PATHS = ("language server", _ASKED, _KEPT, "/infill")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keystrokes", type=int, default=120, help="number of keystrokes (default: 120)")
    parser.add_argument("--context", type=int, default=1500, help="tokens around the cursor (default: 1500)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model (default: the server's)")
    args = parser.parse_args()
    with ExitStack() as stack:
        store = Path(stack.enter_context(TemporaryDirectory()))
        settings = roomy(args.model, "auto", args.context + _ROOM, store)
        url, model = stack.enter_context(served(settings))
        prefix, suffix = context(model.engine.tokenizer, args.context)
        client = stack.enter_context(httpx.Client(base_url=url, timeout=60))
        options = ["--model", settings.model, "--store", str(settings.store)]
        times = asyncio.run(measure(options, client, prefix, suffix, args.keystrokes, store))
        label = model.runner_label
    report(label, times)


async def measure(
    options: list[str], client: httpx.Client, prefix: str, suffix: str, n_keystrokes: int, data: Path
) -> dict[str, list[float]]:
    """Seconds of each keystroke on both paths, in turns."""
    editor = LanguageClient("benchmark", "1")
    environment = {**os.environ, "XDG_DATA_HOME": str(data)}  # nothing counts for the user
    await editor.start_io(sys.executable, "-m", "app.lsp", *options, env=environment)
    capabilities = types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(inline_completion=types.InlineCompletionClientCapabilities())
    )
    asked = {"max_tokens": 16, "min_logprob": None, "debounce_ms": 0}
    await editor.initialize_async(types.InitializeParams(capabilities=capabilities, initialization_options=asked))
    editor.initialized(types.InitializedParams())
    document = types.TextDocumentItem(URI, "python", 0, prefix + suffix)
    editor.text_document_did_open(types.DidOpenTextDocumentParams(document))
    line, column = prefix.count("\n"), len(prefix) - prefix.rfind("\n") - 1
    times: dict[str, list[float]] = {path: [] for path in _PATHS}
    shown = ""
    before = prefix[len(prefix) - column :]
    for count in range(n_keystrokes + 1):
        character = TYPED.replace("\n", " ")[count % len(TYPED)]
        position = types.Position(line, column + count)
        seconds, item = await keystroke(editor, position, character, count + 1)
        typed = (TYPED.replace("\n", " ") * (1 + count // len(TYPED)))[: count + 1]
        line_with = with_suggestion(before + typed, item)
        if count:  # the first one warms the caches
            times["language server"].append(seconds)
            times[_KEPT if line_with and line_with == shown else _ASKED].append(seconds)
            times["/infill"].append(suggest(client, prefix, typed, suffix)[0])
        else:
            suggest(client, prefix, typed, suffix)
        shown = line_with
    await editor.shutdown_async(None)
    editor.exit(None)
    await editor.stop()
    return times


def with_suggestion(line: str, item: types.InlineCompletionItem | None) -> str:
    """``line`` as it would be with the suggestion; empty without one."""
    return line[: item.range.start.character] + str(item.insert_text) if item and item.range else ""


async def keystroke(
    editor: LanguageClient, position: types.Position, character: str, version: int
) -> tuple[float, types.InlineCompletionItem | None]:
    """Seconds from typing ``character`` at ``position`` to the suggestion, and the suggestion."""
    started = time.perf_counter()
    change = types.TextDocumentContentChangePartial(types.Range(position, position), character)
    identifier = types.VersionedTextDocumentIdentifier(version, URI)
    editor.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
    automatic = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
    behind = types.Position(position.line, position.character + 1)
    answer = await editor.text_document_inline_completion_async(
        types.InlineCompletionParams(automatic, types.TextDocumentIdentifier(URI), behind)
    )
    seconds = time.perf_counter() - started
    items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
    return seconds, next(iter(items), None)


def report(label: str, times: dict[str, list[float]]) -> None:
    print(f"{label}\n\n| | keystrokes | p50, ms | p95, ms |\n|---|---|---|---|")
    for path in filter(times.get, _PATHS):
        p50, p95 = np.percentile(times[path], [50, 95]) * 1000
        print(f"| {path} | {len(times[path])} | {p50:.1f} | {p95:.1f} |")
    ratio = np.median(times["language server"]) / np.median(times["/infill"])
    print(f"\nlanguage server to /infill, ratio of the medians: {ratio:.2f}")
    print(json.dumps({path: [round(seconds * 1000, 2) for seconds in times[path]] for path in _PATHS}))


if __name__ == "__main__":
    main()

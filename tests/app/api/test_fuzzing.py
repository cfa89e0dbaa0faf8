"""Generated requests from the server's own description: whatever is sent, the server does not fail."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode

from tests.app.api.conftest import Serving

MOST_SECONDS = 10.0
"""Of the processor, for one request, with all threads of this process."""
MOST_BYTES = 256 * 1024 * 1024

# as JSON, since some have no other form: a lone surrogate, numbers beyond any type
AWKWARD = [
    '""', r'"\u0000"', r'"\ud800"', r'"\udfff\ud800 "', r'"\u202e\u0007\u001b[31m\r\n"', r'"e\u0301\ud83d\ude00"',
    '"<fim-prefix><|endoftext|><fim-middle>"', '"' + "x" * 20_000 + '"', "null", "true", "[]", "{}", '[[["x"]]]',
    "-1", "0", "1e308", "-1e999", "NaN", "Infinity", "2.5", "9223372036854775808", "1" + "0" * 400, "[-1, 1e400]",
]  # fmt: skip


@contextmanager
def modest() -> Iterator[None]:
    """Fail if the requests use too much processor time or memory, regardless of other load.

    The server runs in this process.
    """
    process = psutil.Process()
    seconds, n_bytes = time.process_time(), process.memory_info().rss
    yield
    assert time.process_time() - seconds < MOST_SECONDS
    assert process.memory_info().rss - n_bytes < MOST_BYTES


@pytest.mark.parametrize("n_cases", [
    2, pytest.param(60, marks=pytest.mark.slow),
    pytest.param(5_000, marks=[pytest.mark.heavy, pytest.mark.timeout(3600)]),
])  # fmt: skip
def test_generated_requests(serving: Serving, n_cases: int) -> None:
    """Requests that match the description, and requests that do not."""
    schema = schemathesis.openapi.from_url(f"{serving.url}/openapi.json")
    operations = [operation.ok() for operation in schema.get_all_operations()]
    n_examples = -(-n_cases // len(operations))
    n_sent = sum(send(operation, mode, n_examples) for operation in operations for mode in GenerationMode)
    assert n_sent >= n_cases
    serving.wait_until_idle()


def send(operation: APIOperation, mode: GenerationMode, n_examples: int) -> int:
    """Send requests, and return how many the server has answered."""
    n_sent = 0

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=n_examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case) -> None:
        nonlocal n_sent
        n_sent += 1
        with modest():
            answer = case.call(timeout=60)
        assert answer.status_code < 500, f"{operation.label} {case.body!r}: {answer.text}"

    with suppress(Unsatisfiable):  # what has no parameters cannot be asked wrongly
        ask()
    return n_sent


@pytest.mark.parametrize("one_in", [
    211, pytest.param(29, marks=pytest.mark.slow),
    pytest.param(1, marks=[pytest.mark.heavy, pytest.mark.timeout(3600)]),
])  # fmt: skip
def test_awkward_values_of_every_field(http: httpx.Client, one_in: int) -> None:
    bodies = list(awkward_bodies(http.get("/openapi.json").json()))
    assert len(bodies) > 3_000 and {"/v1/completions", "/infill", "/api/generate", "/generate"} <= {
        path for path, _ in bodies
    }
    assert math.gcd(one_in, len(AWKWARD)) == 1  # otherwise some values would never be sent
    for path, body in bodies[::one_in]:
        with modest():
            answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, f"{path} {body[:200]!r}: {answer.text}"


def test_awkward_values_for_the_page(http: httpx.Client, serving: Serving) -> None:
    """Gradio's own routes, which are in no description."""
    for value in AWKWARD:
        for path, body in (
            ("call/complete_code", f'{{"data": [{value}, "", 1, 0]}}'),
            ("call/complete_code", f'{{"data": {value}}}'),
            ("call/v2/complete_code", f'{{"code": {value}}}'),
            ("queue/join", f'{{"data": [], "fn_index": {value}, "session_hash": "fuzz"}}'),
            ("queue/join", f'{{"data": [{value}], "fn_index": 1, "session_hash": {value}}}'),
            ("queue/join", value),
            ("cancel", f'{{"event_id": {value}, "session_hash": {value}, "fn_index": {value}}}'),
            ("reset", f'{{"event_id": {value}}}'),
        ):
            with modest():
                answer = http.post(f"/gradio_api/{path}", content=body, headers={"Content-Type": "application/json"})
                if answer.status_code == 200 and path in ("queue/join", "call/complete_code"):
                    wait_for_event(http, path, json.loads(body).get("session_hash"), answer.json()["event_id"])
            assert answer.status_code < 500, f"{path} {body[:200]!r}: {answer.text}"


def wait_for_event(http: httpx.Client, path: str, session: str | None, event: str) -> None:
    """An event of the page is answered at once, and runs after that."""
    followed = f"call/complete_code/{event}" if "call" in path else "queue/data"
    ended = http.get(f"/gradio_api/{followed}", params={"session_hash": session or event})
    assert ended.status_code == 200 and ("event: " in ended.text or "process_completed" in ended.text), ended.text


def awkward_bodies(description: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """A path, and a body in which one field, or one inside a field, is awkward."""
    schemas = description["components"]["schemas"]
    for path, methods in description["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        for name in names_in(content.get("application/json", {}).get("schema", {})):
            for field, inner in schemas[name].get("properties", {}).items():
                nested = [each for inside in names_in(inner) for each in schemas[inside].get("properties", {})]
                for value in AWKWARD:
                    yield path, f'{{"prompt": "x", "inputs": "x", "{field}": {value}}}'.encode()
                    for each in nested:
                        yield path, f'{{"prompt": "x", "inputs": "x", "{field}": {{"{each}": {value}}}}}'.encode()


def names_in(schema: dict[str, Any]) -> Iterator[str]:
    """The schemas that ``schema`` refers to, itself or as an alternative."""
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2]
    for alternative in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from names_in(alternative)

"""Events of the page as an attacker can send them: without a browser, and to functions without a name."""

from __future__ import annotations

import json
from typing import Any

import httpx


def fire(url: str, name: str, event: str, data: list[Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Trigger the function of a component's ``event`` with ``data``. ``name`` is the component's ``elem_id``, or its
    type if it is the only one.

    Returns a message of Gradio's queue: ``success`` says whether the function returned, ``output`` is its result.
    """
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        config = client.get("/config").json()
        (component,) = [
            each["id"] for each in config["components"] if name in (each["props"].get("elem_id"), each["type"])
        ]
        number = next(each["id"] for each in config["dependencies"] if [component, event] in each["targets"])
        session = {"session_hash": "attacker"}
        client.post("/gradio_api/queue/join", json={"data": data, "fn_index": number, **session}).raise_for_status()
        with client.stream("GET", "/gradio_api/queue/data", params=session) as stream:
            for line in stream.iter_lines():
                message: dict[str, Any] = json.loads(line.removeprefix("data: ") or "{}") if line else {}
                if message.get("msg") == "process_completed":
                    return message
    raise AssertionError("the event was never answered")

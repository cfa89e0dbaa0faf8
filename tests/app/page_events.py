"""Events of the page as an attacker can send them: without a browser, and to functions without a name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx


def fire(url: str, name: str, event: str, data: list[Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Trigger the function of a component's ``event`` with ``data``. ``name`` is the component's ``elem_id``, or its
    type if it is the only one.

    Returns a message of Gradio's queue: ``success`` says whether the function returned, ``output`` is its result.
    """
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        function, _ = _function(client, name, event)
        return _answer(client, function["id"], data, "attacker")


@dataclass(frozen=True)
class Visit:
    """An open page, of whose events the server keeps something."""

    url: str
    session: str

    def outputs(self, name: str, event: str, data: list[Any], *, n_chained: int = 0) -> dict[str, Any]:
        """The last values that an event, or one that is chained to it, has for its outputs, by their ``elem_id`` or
        type."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            function, config = _function(client, name, event)
            for _ in range(n_chained):
                function = next(each for each in config["dependencies"] if each["trigger_after"] == function["id"])
            message = _answer(client, function["id"], data, self.session)
        assert message["success"], message["output"]
        names = {each["id"]: each["props"].get("elem_id") or each["type"] for each in config["components"]}
        return dict(zip([names[each] for each in function["outputs"]], message["output"]["data"], strict=True))


def _function(client: httpx.Client, name: str, event: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The description of an event's function, and of the whole page."""
    config = client.get("/config").json()
    (component,) = [each["id"] for each in config["components"] if name in (each["props"].get("elem_id"), each["type"])]
    return next(each for each in config["dependencies"] if [component, event] in each["targets"]), config


def _answer(client: httpx.Client, number: int, data: list[Any], session: str) -> dict[str, Any]:
    body = {"data": data, "fn_index": number, "session_hash": session}
    client.post("/gradio_api/queue/join", json=body).raise_for_status()
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            message: dict[str, Any] = json.loads(line.removeprefix("data: ") or "{}") if line else {}
            if message.get("msg") == "process_completed":
                return message
    raise AssertionError("the event was never answered")

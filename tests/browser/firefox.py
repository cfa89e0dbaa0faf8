"""A headless Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_LONGEST = 120.0  # seconds; on a busy machine
_ADDRESS = re.compile(r"ws://127\.0\.0\.1:\d+")
# quiet: asks no other host
_PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.server": "",
}


class Tab:
    """A tab of Firefox."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._n_sent = 0
        self.command("session.new", capabilities={})
        self._context = self.command("browsingContext.create", type="tab")["context"]

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the protocol; an error of the browser is a RuntimeError."""
        self._n_sent += 1
        self._connection.send(json.dumps({"id": self._n_sent, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(_LONGEST))
            if message.get("id") == self._n_sent:
                if message["type"] == "error":
                    raise RuntimeError(message["message"])
                return dict(message["result"])

    def open(self, url: str) -> None:
        self.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression in the page."""
        target = {"context": self._context}
        text = f"JSON.stringify({expression})"
        answer = self.command("script.evaluate", expression=text, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"].get("value", "null"))

    def until(self, expression: str) -> None:
        """Wait until an expression in the page is true."""
        ends = time.monotonic() + _LONGEST
        while not self.evaluate(expression):
            assert time.monotonic() < ends, f"{expression} did not become true"
            time.sleep(0.1)


@contextmanager
def firefox_tab(profile: Path) -> Iterator[Tab]:
    """A tab in a Firefox with the folder ``profile``, which must be empty."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [str(FIREFOX), "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := _ADDRESS.search(line)))
        with connect(f"{address}/session", max_size=None) as connection:
            yield Tab(connection)
    finally:
        process.terminate()
        process.wait(timeout=60)

"""Permission to train: for users at the machine, and for users behind a proxy only if it was allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request

from app.middleware.client_address import ClientAddress
from app.middleware.training_token import address_with_token, has_token
from app.settings import Settings
from app.training_permission import TrainingPermission
from santacoder.errors import UserError
from tests.app.api.conftest import Serving, run_apart, serve
from tests.app.page_events import fire

TUNE = "The selected model, fine-tuned"
TOKEN = 'of the address that was printed; + & " é 令'
FORWARDED = {"X-Forwarded-For": "192.0.2.1"}


def with_token(url: str) -> dict[str, str]:
    """The headers of a browser that has opened the address with the token."""
    with httpx.Client(follow_redirects=True, timeout=60) as http:
        opened = http.get(address_with_token(url, TOKEN))
        assert opened.status_code == 200 and "token" not in str(opened.url)
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items())}


def request(client: str = "127.0.0.1", **headers: str) -> Request:
    """A request as the server passes it to the page."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(Request(scope))

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": "/", "client": (client, 1), "headers": pairs}
    run_apart(ClientAddress(app, 0)(scope, None, None))  # type: ignore[arg-type]
    (found,) = seen
    return found


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu", training_token=TOKEN)) as serving:
        yield serving


def begin(url: str, headers: dict[str, str] | None, folder: str, **changed: str) -> str:
    """The page's message when training is started; the invalid model name prevents the job from starting."""
    model, publish_to = changed.get("model", "test/tiny"), changed.get("publish_to", "nameless")
    form = ["own", folder, None, "", TUNE, "nano", "final", 1, publish_to, "main", model, "main", ""]
    return str(fire(url, "train-start", "click", form, headers)["output"])


def test_whoever_comes_through_a_proxy_cannot_train(serving: Serving, tmp_path: Path) -> None:
    here = with_token(serving.url)
    assert "is not a model name" in begin(serving.url, here, str(tmp_path))
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via", "CF-Connecting-IP"):
        assert "--allow-training" in begin(serving.url, {**here, name: "127.0.0.1"}, str(tmp_path))
    assert "is not the name of a folder" in begin(serving.url, here, "x" * 5_000)
    assert "is not a folder" in begin(serving.url, here, str(tmp_path / "none"))
    for elem_id in ("train-stop", "train-resume", "train-use"):
        assert not fire(serving.url, elem_id, "click", [None], FORWARDED)["success"]


@pytest.mark.parametrize("model", ["evil/model", "../checkpoints", "checkpoints", "/etc", "-x/y", ""])
def test_only_models_that_may_be_named_are_tuned(model: str, serving: Serving, tmp_path: Path) -> None:
    assert "There is no model" in begin(
        serving.url, with_token(serving.url), str(tmp_path), model=model, publish_to="mine/coder"
    )


def test_a_name_that_is_being_typed_is_no_error_of_the_timer(serving: Serving) -> None:
    """It ticks every two seconds while something is trained."""
    told = fire(serving.url, "timer", "tick", [None, None, "evil/mod", "main", ""], with_token(serving.url))
    assert told["success"], told["output"]


def test_a_proxy_that_adds_no_header_lets_nobody_train(serving: Serving, tmp_path: Path) -> None:
    """Requests through it look local, but visitors do not know the token."""
    for headers in (None, {"Cookie": f"santacoder-training-{urlsplit(serving.url).port}=guessed"}):
        assert "--allow-training" in begin(serving.url, headers, str(tmp_path))
        assert not fire(serving.url, "train-stop", "click", [None], headers)["success"]
    guessed = httpx.get(serving.url, params={"token": "guessed", "share": "x"}, timeout=60)
    assert guessed.status_code == 303 and guessed.headers["Location"] == "/?share=x"
    assert "Set-Cookie" not in guessed.headers


def test_servers_behind_two_tunnels_take_no_cookie_from_each_other(serving: Serving) -> None:
    """Both listen on the same port, of other machines; the browser tells them apart by the ports of its own."""
    with httpx.Client(timeout=60) as http:
        for port in (9001, 9002):
            opened = http.get(address_with_token(serving.url, TOKEN), headers={"Host": f"localhost:{port}"})
            assert opened.status_code == 303 and f"santacoder-training-{port}=" in opened.headers["Set-Cookie"]
    scope = {"type": "http", "path": "/", "scheme": "http", "server": ("127.0.0.1", 7860)}
    for host, is_given in ((b"localhost:9001", True), (b"localhost:9002", False), (b"localhost:7860", False)):
        headers = [(b"host", host), (b"cookie", b"santacoder-training-9001=secret")]
        assert has_token(Request({**scope, "headers": headers}), "secret") is is_given


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "192.0.2.1"},
        {"allowed_hosts": "coder.example"},
        {"proxies": 1},
        {"root_path": "/coder"},
    ],
)
def test_a_server_for_others_wants_it_said(settings: dict[str, Any]) -> None:
    permission = TrainingPermission(Settings(**settings))
    assert not permission.is_given(request()) and not Settings(**settings).training_is_allowed
    allowed = TrainingPermission(Settings(**settings, allow_training=True))
    assert allowed.is_given(request()) and allowed.is_given(request("192.0.2.2"))
    with pytest.raises(UserError, match="--training-folders"):
        allowed.folder("/etc", request())


def test_only_a_request_from_this_machine_is_local() -> None:
    permission = TrainingPermission(Settings(training_token="secret"))
    cookie = "santacoder-training-0=secret"
    assert permission.is_given(request(cookie=cookie)) and permission.is_given(request("::1", cookie=cookie))
    assert not permission.is_given(request()) and not permission.is_given(request("192.0.2.1", cookie=cookie))
    assert not permission.is_given(request(cookie=cookie, forwarded="for=1"))
    nobody = TrainingPermission(Settings(training_token=""))
    assert not nobody.is_given(request(cookie="santacoder-training-0="))


def test_nothing_but_the_named_folders_is_read(tmp_path: Path) -> None:
    code, secret = tmp_path / "code", tmp_path / "code-secret"
    for folder in (code / "mine", secret):
        folder.mkdir(parents=True)
    (code / "link").symlink_to(secret)
    (code / "loop").symlink_to(code / "loop")
    permission = TrainingPermission(Settings(training_folders=f" {code} ,{tmp_path / 'more'}", allow_training=True))
    for allowed in (str(code), f"{code}/mine", f"{code}/mine/../mine/", str(tmp_path / "more")):
        assert Path(permission.folder(allowed, request("192.0.2.1"))).is_relative_to(tmp_path)
    assert permission.folder("", request()) == ""
    for refused in (str(secret), f"{code}/../code-secret", f"{code}/link", "/", "~", "~nobody-of-this-name", "a\0b"):
        for origin in (request(), request("192.0.2.1")):
            with pytest.raises(UserError, match="is not in any folder|is not the name"):
                permission.folder(refused, origin)

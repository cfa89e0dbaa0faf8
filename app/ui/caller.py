"""Who pressed the button: the request behind the event that a function of the page answers."""

from __future__ import annotations

from fastapi import Request
from gradio.context import LocalContext

from app.api.errors import ApiError
from app.api.limits import Limits
from santacoder.errors import UserError


def caller() -> Request:
    """Only while a function of the page runs."""
    request = LocalContext.request.get()
    assert request is not None and request.request is not None
    return request.request


def check_caller(limits: Limits) -> None:
    """What the page is asked to run counts as a request to the API.

    Raises:
        UserError: the client has asked too often; the message is a sentence.
    """
    try:
        limits.check_rate(caller())
    except ApiError as error:
        raise UserError(str(error)) from error

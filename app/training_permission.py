"""Permission to train: who may train, and on which folders. Training reads files and uses the machine for a long
time.
"""

from __future__ import annotations

from fastapi import Request

from app.middleware.client_address import is_local
from app.middleware.training_token import has_token
from app.settings import Settings
from santacoder.errors import UserError
from santacoder.paths import user_path

ONLY_AT_THE_MACHINE = (
    "Only users at this machine can train: open the address, with its token, that the server printed when it started. "
    "The operator can allow others to train with --allow-training."
)


class TrainingPermission:
    """Users at the machine, who have the address that the server printed, may train on any folder. Other users may
    train if the operator allows it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def is_given(self, request: Request) -> bool:
        return self._settings.allow_training or self._is_at_the_machine(request)

    def require(self, request: Request) -> None:
        """Check that training is allowed.

        Raises:
            UserError: the request comes from another machine, possibly through a proxy on this one.
        """
        if not self.is_given(request):
            raise UserError(ONLY_AT_THE_MACHINE)

    def folder(self, name: str, request: Request) -> str:
        """Resolve the folder ``name``, following links; an empty name means no folder.

        Raises:
            UserError: the sender of the request may not read it.
        """
        if not name:
            return ""
        allowed = self._settings.folders_to_train_on
        if not allowed and not self._is_at_the_machine(request):
            raise UserError(
                "Folders on the server can only be used if its operator lists them with --training-folders. "
                "Choose an archive instead."
            )
        try:
            folder = user_path(name).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or an invalid name
            raise UserError(f"{name[:200]!r} is not the name of a folder.") from error
        if allowed and not any(folder.is_relative_to(each) for each in allowed):
            raise UserError(f"{name[:200]} is not in any folder that the operator listed with --training-folders.")
        return str(folder)

    def _is_at_the_machine(self, request: Request) -> bool:
        settings = self._settings
        is_here = settings.is_for_this_machine and is_local(request.scope)
        return is_here and has_token(request, settings.training_token)

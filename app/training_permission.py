"""Who may train, and on which folders: whoever does reads files of the machine and uses it for long."""

from __future__ import annotations

from fastapi import Request

from app.client_address import is_local
from app.settings import Settings
from app.training_token import has_token
from santacoder.errors import UserError
from santacoder.paths import user_path


class TrainingPermission:
    """Those who sit at the machine, and so have the address that the server printed, may train on any folder of it;
    others where the operator said so."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def is_given(self, request: Request) -> bool:
        return self._settings.allow_training or self._is_at_the_machine(request)

    def require(self, request: Request) -> None:
        """
        Raises:
            UserError: the request comes from elsewhere, perhaps through a proxy on this machine.
        """
        if not self.is_given(request):
            raise UserError(
                "Only those who sit at the machine can train on it: open the address that the server printed when it "
                "started, with its token. Its operator can allow others to with --allow-training."
            )

    def folder(self, name: str, request: Request) -> str:
        """The folder that ``name`` stands for, without links; an empty name stands for none.

        Raises:
            UserError: it may not be read from where the request comes from.
        """
        if not name:
            return ""
        allowed = self._settings.folders_to_train_on
        if not allowed and not self._is_at_the_machine(request):
            raise UserError(
                "Folders of the machine can be trained on where its operator names them with --training-folders. "
                "Choose an archive instead."
            )
        try:
            folder = user_path(name).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or what no file can be called
            raise UserError(f"{name[:200]!r} is not the name of a folder.") from error
        if allowed and not any(folder.is_relative_to(each) for each in allowed):
            raise UserError(f"{name[:200]} is in none of the folders that the operator named with --training-folders.")
        return str(folder)

    def _is_at_the_machine(self, request: Request) -> bool:
        settings = self._settings
        is_here = settings.is_for_this_machine and is_local(request.scope)
        return is_here and has_token(request, settings.training_token)

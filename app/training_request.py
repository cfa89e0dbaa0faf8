"""A training job as requested on the page, and the command that does it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from santacoder.checkpoints import CheckpointError
from santacoder.checkpoints.store import require_branch
from santacoder.errors import UserError
from santacoder.paths import user_path
from train.data.corpus import pinned_packages

CODE_FOLDER = Path(__file__).resolve().parents[1]
# OpenMP threads that wait actively hold up the server's and the browser's: with both at work on the same two cores, a
# step took four times as long
SHARING_CORES = {"GOMP_SPINCOUNT": "0"}
# short steps, and few: on the sample project's held-out files mini has 1.51 nats a token after 30, 1.71 after 60
TUNING_STEPS, TUNING_SEQUENCE_LENGTH = 30, 256
HELD_OUT_LINES = 100
"""Lines that are filled in before and after, for a model to be published only if it is better."""
# what editors ask for: most documents with gaps, and most gaps of one line
_LINE_GAPS = ("--fim-rate", "0.7", "--line-rate", "0.6")


@dataclass(frozen=True)
class JobRequest:
    """A training job as requested on the page. ``base`` is a revision to fine-tune as REPO@REVISION; empty to train
    from scratch.

    The training data are one or more of ``folder`` (on this machine), ``archive`` (an uploaded file) and ``packages``
    (one per line). ``sequence_length`` is in tokens; 0 leaves it to the trainer. ``only_if_better`` learns to
    fill in lines, and publishes only a model that is better at held-out ones than the base.

    Raises:
        UserError: something is missing or does not exist; the message is a sentence for the user.
    """

    repo_id: str
    branch: str
    steps: int
    base: str = ""
    size: str = "nano"
    variant: str = "final"
    folder: str = ""
    archive: str = ""
    packages: str = ""
    sequence_length: int = 0
    only_if_better: bool = False

    def __post_init__(self) -> None:
        if not (self.folder or self.archive or self.packages.strip()):
            raise UserError("Choose the training data: a folder, an archive or packages.")
        if self.folder and not user_path(self.folder).is_dir():
            raise UserError(f"{self.folder} is not a folder on the machine that runs this page.")
        pinned_packages(self.packages)
        if self.steps < 1:
            raise UserError(f"Steps must be at least 1, not {self.steps}.")
        try:
            require_branch(self.repo_id, self.branch, Path())
        except CheckpointError as error:
            raise UserError(str(error)) from error


def training_command(request: JobRequest, folder: Path, store: Path) -> list[str]:
    """The command of the job in ``folder``, to which the uploaded archive and the list of packages are copied."""
    command = [sys.executable, "-m", "train", "--output", str(folder.resolve()), "--steps", str(request.steps)]
    command += ["--store", str(store.resolve()), "--publish", request.repo_id, "--branch", request.branch]
    if request.base:
        command += ["--from", request.base]
    else:
        command += ["--size", request.size, "--variant", request.variant]
    if request.sequence_length:
        command += ["--sequence-length", str(request.sequence_length)]
    often = str(request.steps if request.only_if_better else min(request.steps, max(10, request.steps // 20)))
    command += ["--validate-first", "--validate-every", often, "--save-every", often]
    if request.only_if_better:
        command += ["--publish-if-better", "--hold-out-files", "--fim-questions", str(HELD_OUT_LINES), *_LINE_GAPS]
    if request.folder:
        command += ["--folder", str(user_path(request.folder).resolve())]
    if request.archive:
        kept = folder / "upload" / Path(request.archive).name  # uploads are deleted after a while
        kept.parent.mkdir()
        shutil.copyfile(request.archive, kept)
        command += ["--archive", str(kept.resolve())]
    if request.packages.strip():
        manifest = folder / "packages.txt"
        manifest.write_text("\n".join(pinned_packages(request.packages)), encoding="ascii")
        command += ["--requirements", str(manifest.resolve())]
    return command

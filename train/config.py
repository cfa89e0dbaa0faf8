"""What a training run is: the model's shape, the objective, the optimiser, the schedule, and how it is computed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError

_COUNTS = (
    "n_layer", "n_embd", "n_head", "sequence_length", "batch_size", "steps", "validate_every", "validation_batches",
    "save_every", "keep",
)  # fmt: skip
_NOT_NEGATIVE = (
    "lora_rank", "micro_batch_size", "loader_workers", "fim_questions", "weight_decay", "embedding_learning_rate",
    "vector_learning_rate", "beta2_half_life", "publish_every",
)  # fmt: skip
_POSITIVE = ("learning_rate", "gradient_clip")
_SHARES = (
    "fim_rate", "spm_rate", "line_rate", "node_rate", "warmup_fraction", "cooldown_fraction", "dropout", "beta1",
    "beta2",
)  # fmt: skip
# with the schedule wsd, the end of a run is decided while it lasts
_OF_THE_END = ("steps", "cooldown_fraction", "cooldown_shape")


def _setting(default: Any, meaning: str) -> Any:
    """What is learned: a resumed run has to keep it."""
    return field(default=default, metadata={"help": meaning, "may_change": False})


def _means(default: Any, meaning: str) -> Any:
    """How it is computed, watched and kept: a resumed run may change it."""
    return field(default=default, metadata={"help": meaning, "may_change": True})


@dataclass(frozen=True)
class TrainConfig:
    """One run. The defaults are the size ``nano``; ``train/presets.py`` has the others.

    Raises:
        UserError: a value that no run can have; the message is a sentence for the user.
    """

    base: str = _setting("", "revision that is fine-tuned, as REPO@COMMIT; empty for a model from scratch")
    lora_rank: int = _setting(0, "rank of the low-rank update that is trained instead of the matrices; 0 trains all")
    n_layer: int = _setting(6, "transformer blocks")
    n_embd: int = _setting(256, "width of the model")
    n_head: int = _setting(4, "attention heads")
    multi_query: bool = _setting(True, "one key/value head for all query heads")
    dropout: float = _setting(0.0, "share of the embeddings and of the blocks' outputs that is dropped")
    sequence_length: int = _setting(512, "tokens a sequence, and positions a model from scratch learns")
    batch_size: int = _setting(16, "sequences a step, over all processes")
    steps: int = _setting(2000, "updates of the model")
    learning_rate: float = _setting(4e-3, "the peak; adamw wants less")
    embedding_learning_rate: float = _setting(0.0, "the peak for embeddings; 0 for that of the matrices")
    vector_learning_rate: float = _setting(0.0, "the peak for biases and LayerNorms; 0 for that of the matrices")
    schedule: Literal["cosine", "wsd"] = _setting(
        "cosine", "from the peak down a cosine to a tenth; or stable, then down to 0 in the last steps"
    )
    cooldown_fraction: float = _setting(0.3, "share of the steps in which wsd goes down to 0; 0 for none of them")
    cooldown_shape: Literal["sqrt", "linear", "square"] = _setting(
        "sqrt", "how wsd goes down: 1 - sqrt(x), 1 - x or (1 - x)^2, where x is the share of the cooldown that is done"
    )
    warmup_fraction: float = _setting(0.02, "share of the steps that lead up to the peak")
    weight_decay: float = _setting(0.1, "for matrices; biases and LayerNorms have none")
    beta1: float = _setting(0.9, "AdamW's memory of the gradient")
    beta2: float = _setting(0.95, "AdamW's memory of its square")
    beta2_half_life: float = _setting(
        0.0, "tokens after which half of that memory is gone, whatever the batch; 0 for what beta2 says"
    )
    gradient_clip: float = _setting(1.0, "largest norm of the gradient")
    optimizer: Literal["adamw", "muon"] = _setting("muon", "muon: for the blocks' matrices, with AdamW for the rest")
    fim_rate: float = _setting(0.5, "share of the documents rearranged for fill-in-the-middle; 0 for left to right")
    spm_rate: float = _setting(0.5, "share of those in suffix-prefix-middle order")
    line_rate: float = _setting(0.0, "share of those cut in short parts, of each of which one line is the middle")
    node_rate: float = _setting(0.0, "share of those cut in parts, of each of which a syntax node is the middle")
    balance_languages: bool = _setting(False, "as many sequences of each language as of the others")
    seed: int = _setting(0, "of initialisation, data order, fill-in-the-middle and dropout")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = _means(
        "auto", "of the matrix multiplies: bf16 where there are instructions for it; weights are fp32"
    )
    device: Literal["cpu", "cuda"] = _means("cpu", "where")
    parallel: Literal["ddp", "fsdp"] = _means("ddp", "under torchrun: each process has the whole model, or a share")
    micro_batch_size: int = _means(
        0, "sequences a process computes at once, gradients being accumulated; 0 for its whole share of the batch"
    )
    activation_checkpointing: bool = _means(False, "keep a block's input only, and compute the block again backwards")
    compile: bool = _means(False, "compile the blocks (torch.compile); takes a minute at the start")
    loader_workers: int = _means(1, "processes that prepare batches ahead; 0 prepares them in between")
    validate_every: int = _means(250, "steps between validations")
    validation_batches: int = _means(8, "batches a validation")
    fim_questions: int = _means(32, "held-out lines to fill in at each validation; 0 for none")
    save_every: int = _means(100, "steps between saved states")
    keep: int = _means(2, "saved states to keep, the newest")
    publish_every: int = _means(0, "with --publish-saves, steps between those that are published; 0 for all of them")

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise UserError(f"{name} must be more than 0, not {getattr(self, name)}.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is a share from 0 to 1, not {getattr(self, name)}.")
        if self.line_rate + self.node_rate > 1:
            raise UserError(
                f"line_rate and node_rate are shares of the same documents, so that {self.line_rate} and "
                f"{self.node_rate} are too much together: they may come to 1."
            )
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device cuda was asked for, but PyTorch finds no GPU here; use cpu.")
        if self.lora_rank and not self.base:
            raise UserError("lora_rank trains an update to a revision: name one with --from.")
        if self.parallel == "fsdp":
            self._require_shardable()

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    @property
    def second_moment_decay(self) -> float:
        """AdamW's beta2. A half-life in tokens holds for any batch (arXiv 2507.07101, section 3)."""
        return 0.5 ** (self.tokens_per_step / self.beta2_half_life) if self.beta2_half_life else self.beta2

    def model_config(self, vocab_size: int) -> SantaCoderConfig:
        """The model a run from scratch trains. The embedding has a multiple of 64 rows, which kernels prefer."""
        return SantaCoderConfig(
            vocab_size=-(-vocab_size // 64) * 64,
            n_positions=self.sequence_length,
            n_embd=self.n_embd,
            n_layer=self.n_layer,
            n_head=self.n_head,
            multi_query=self.multi_query,
        )

    def continued_with(self, given: dict[str, Any]) -> TrainConfig:
        """These settings with those ``given`` that a resumed run may change.

        With ``schedule: wsd`` these include ``steps`` and the cooldown: the end need not be known before the learning
        rate falls.

        Raises:
            UserError: one of ``given`` would change what is learned.
        """
        for setting in dataclasses.fields(self):
            before = getattr(self, setting.name)
            may_change = setting.metadata["may_change"] or (setting.name in _OF_THE_END and self.schedule == "wsd")
            if not may_change and given.get(setting.name, before) != before:
                raise UserError(
                    f"The run was started with {setting.name} {before!r} and cannot go on with "
                    f"{given[setting.name]!r}: leave the option out, or start a new run with another --output."
                )
        return dataclasses.replace(self, **given)

    def _require_shardable(self) -> None:
        if self.optimizer == "muon":
            raise UserError("muon needs whole matrices, which fsdp divides: use --optimizer adamw or --parallel ddp.")
        if self.precision == "fp16":
            raise UserError("fsdp does not scale losses for fp16: use --precision bf16 or --parallel ddp.")
        if self.lora_rank:
            raise UserError("What LoRA trains is small enough for every process: use --parallel ddp.")

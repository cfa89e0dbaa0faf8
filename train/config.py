"""The configuration of a training run: model shape, objective, optimiser, schedule and execution."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError

_COUNTS = (
    "n_layer", "n_embd", "n_head", "sequence_length", "batch_size", "steps", "validate_every", "validation_batches",
    "save_every", "keep",
)  # fmt: skip
_NOT_NEGATIVE = (
    "lora_rank", "micro_batch_size", "loader_workers", "fim_questions", "weight_decay", "embedding_learning_rate",
    "vector_learning_rate", "beta2_half_life", "publish_every", "seed",
)  # fmt: skip
_POSITIVE = ("learning_rate", "gradient_clip")
_SHARES = (
    "fim_rate", "spm_rate", "line_rate", "node_rate", "warmup_fraction", "cooldown_fraction", "final_rate_fraction",
    "dropout", "beta1", "beta2",
)  # fmt: skip
# more than any machine needs; starting a million would never end
_MOST_WORKERS = 1024
# with schedule wsd, the end of a run can be changed while it runs
_OF_THE_END = ("steps", "cooldown_fraction", "cooldown_shape", "final_rate_fraction")
# what the model is measured on, which stays the same if it was measured before its first step
_OF_COMPARISONS = ("validation_batches", "fim_questions")


def _setting(default: Any, meaning: str) -> Any:
    """A setting that affects what is learned: a resumed run must keep it."""
    return field(default=default, metadata={"help": meaning, "may_change": False})


def _means(default: Any, meaning: str) -> Any:
    """A setting of execution, monitoring or storage: a resumed run may change it."""
    return field(default=default, metadata={"help": meaning, "may_change": True})


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of one run. The defaults are those of size ``nano``; ``train/presets.py`` has the others.

    Raises:
        UserError: a value is invalid; the message is a sentence for the user.
    """

    base: str = _setting("", "revision to fine-tune, as REPO@COMMIT; empty to train from scratch")
    lora_rank: int = _setting(0, "rank of the low-rank update trained in place of the matrices; 0 trains all weights")
    n_layer: int = _setting(6, "transformer blocks")
    n_embd: int = _setting(256, "width of the model")
    n_head: int = _setting(4, "attention heads")
    multi_query: bool = _setting(True, "one key/value head for all query heads")
    dropout: float = _setting(0.0, "dropout probability of the embeddings and of each block's outputs")
    sequence_length: int = _setting(512, "tokens per sequence; also the context length of a new model")
    batch_size: int = _setting(16, "sequences per step, over all processes")
    steps: int = _setting(2000, "optimiser steps")
    learning_rate: float = _setting(4e-3, "peak learning rate; adamw needs a lower one")
    embedding_learning_rate: float = _setting(0.0, "peak for embeddings; 0 uses learning_rate")
    vector_learning_rate: float = _setting(0.0, "peak for biases and LayerNorms; 0 uses learning_rate")
    schedule: Literal["cosine", "wsd"] = _setting(
        "cosine", "cosine decays to a tenth of the peak; wsd (warmup-stable-decay) stays constant, then decays"
    )
    cooldown_fraction: float = _setting(0.3, "fraction of the steps in which wsd decays; 0 for no decay")
    cooldown_shape: Literal["sqrt", "linear", "square"] = _setting(
        "sqrt", "shape of wsd's decay: 1 - sqrt(x), 1 - x or (1 - x)^2, x being the fraction of the cooldown done"
    )
    final_rate_fraction: float = _setting(0.0, "fraction of the peak learning rate at which wsd's decay ends")
    warmup_fraction: float = _setting(0.02, "fraction of the steps in which the learning rate rises to its peak")
    weight_decay: float = _setting(0.1, "weight decay of matrices; biases and LayerNorms have none")
    beta1: float = _setting(0.9, "AdamW's decay rate of the gradient's mean")
    beta2: float = _setting(0.95, "AdamW's decay rate of the squared gradient's mean")
    beta2_half_life: float = _setting(
        0.0, "half-life in tokens of the squared gradient's mean, for any batch size; 0 uses beta2"
    )
    gradient_clip: float = _setting(1.0, "maximum norm of the gradient")
    optimizer: Literal["adamw", "muon"] = _setting("muon", "muon updates the blocks' matrices, and AdamW the rest")
    fim_rate: float = _setting(
        0.5, "fraction of documents transformed for fill-in-the-middle; 0 trains left to right only"
    )
    spm_rate: float = _setting(0.5, "fraction of those in suffix-prefix-middle order")
    line_rate: float = _setting(0.0, "fraction of those split into short parts, with one line of each as the middle")
    node_rate: float = _setting(0.0, "fraction of those split into parts, with a syntax node of each as the middle")
    balance_languages: bool = _setting(False, "use equally many sequences of each language")
    seed: int = _setting(0, "random seed of initialisation, data order, fill-in-the-middle and dropout")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = _means(
        "auto", "precision of matrix products; auto uses bf16 if the device has instructions for it; weights are fp32"
    )
    device: Literal["cpu", "cuda"] = _means("cpu", "device to train on")
    parallel: Literal["ddp", "fsdp"] = _means(
        "ddp", "under torchrun, replicate the model in each process (ddp) or shard it (fsdp)"
    )
    micro_batch_size: int = _means(
        0, "sequences per forward pass of a process, with gradient accumulation; 0 for its whole share of the batch"
    )
    activation_checkpointing: bool = _means(
        False, "keep only each block's input, and recompute the block in the backward pass"
    )
    compile: bool = _means(False, "compile the blocks with torch.compile, which takes about a minute at the start")
    loader_workers: int = _means(1, "processes that prepare batches ahead; 0 prepares them in the training process")
    validate_every: int = _means(250, "steps between validations")
    validate_first: bool = _means(False, "validate before the first step, too, so that there is something to compare")
    validation_batches: int = _means(8, "batches per validation")
    fim_questions: int = _means(32, "held-out lines to infill at each validation; 0 for none")
    save_every: int = _means(100, "steps between saved states")
    keep: int = _means(2, "number of saved states to keep")
    publish_every: int = _means(0, "with --publish-saves, steps between published states; 0 publishes each saved one")

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
                raise UserError(f"{name} must be between 0 and 1, not {getattr(self, name)}.")
        for name in ("beta1", "beta2"):
            if getattr(self, name) == 1:
                raise UserError(f"{name} must be below 1.")
        if self.second_moment_decay == 1:
            raise UserError(
                f"beta2_half_life {self.beta2_half_life:g} is so many tokens that the mean would never change: use a "
                "smaller one, such as 4e6."
            )
        if self.loader_workers > _MOST_WORKERS:
            raise UserError(f"loader_workers must be at most {_MOST_WORKERS:,}, not {self.loader_workers:,}.")
        if self.seed >= 2**63:  # PyTorch's seeds have 64 bits
            raise UserError(f"seed must be below 2**63, not {self.seed}.")
        if self.line_rate + self.node_rate > 1:
            raise UserError(
                f"line_rate and node_rate are fractions of the same documents: {self.line_rate} and "
                f"{self.node_rate} exceed 1 together."
            )
        if self.lora_rank and not self.base:
            raise UserError("lora_rank needs a revision to fine-tune: name one with --from.")
        if self.parallel == "fsdp":
            self._require_shardable()

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    @property
    def warmup_steps(self) -> int:
        return round(self.steps * self.warmup_fraction)

    @property
    def second_moment_decay(self) -> float:
        """AdamW's beta2. A half-life in tokens suits any batch size (arXiv 2507.07101, section 3)."""
        return 0.5 ** (self.tokens_per_step / self.beta2_half_life) if self.beta2_half_life else self.beta2

    def model_config(self, vocab_size: int) -> SantaCoderConfig:
        """The shape of a model trained from scratch. The vocabulary is padded to a multiple of 64, which kernels
        prefer.
        """
        return SantaCoderConfig(
            vocab_size=-(-vocab_size // 64) * 64,
            n_positions=self.sequence_length,
            n_embd=self.n_embd,
            n_layer=self.n_layer,
            n_head=self.n_head,
            multi_query=self.multi_query,
        )

    def continued_with(self, given: dict[str, Any]) -> TrainConfig:
        """Return these settings, updated with those of ``given`` that a resumed run may change.

        With ``schedule: wsd`` these include ``steps`` and the cooldown, because the end need not be known before the
        learning rate decays. The warm-up, which may be over, keeps its number of steps.

        Raises:
            UserError: one of ``given`` would change what is learned, or what a run with ``validate_first`` compares.
        """
        for setting in dataclasses.fields(self):
            before = getattr(self, setting.name)
            if not self._may_change(setting) and given.get(setting.name, before) != before:
                raise UserError(
                    f"The run was started with {setting.name} {before!r} and cannot continue with "
                    f"{given[setting.name]!r}: omit the option, or start a new run with another --output."
                )
        steps = given.get("steps", self.steps)
        if steps == self.steps:
            return dataclasses.replace(self, **given)
        warmup_fraction = min(1.0, self.warmup_steps / max(1, steps))
        return dataclasses.replace(self, **{**given, "warmup_fraction": warmup_fraction})

    def _may_change(self, setting: dataclasses.Field) -> bool:
        if setting.name in _OF_COMPARISONS:
            return not self.validate_first
        return setting.metadata["may_change"] or (setting.name in _OF_THE_END and self.schedule == "wsd")

    def _require_shardable(self) -> None:
        if self.optimizer == "muon":
            raise UserError("muon needs whole matrices, but fsdp shards them: use --optimizer adamw or --parallel ddp.")
        if self.precision == "fp16":
            raise UserError("fsdp does not scale losses for fp16: use --precision bf16 or --parallel ddp.")
        if self.lora_rank:
            raise UserError("fsdp does not support LoRA, whose update fits in every process: use --parallel ddp.")

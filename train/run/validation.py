"""Validation on the held-out packages during training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule

from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.errors import UserError
from santacoder.fim import split_documents
from santacoder.model import SantaCoder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from train.config import TrainConfig
from train.core.distributed import World
from train.core.loss import IGNORED_TARGET
from train.core.step import Training, micro_batches
from train.data.pack import PackedData
from train.model.plain_model import plain_model

# enough to choose lines from without decoding a large corpus
_QUESTION_TOKENS = 1_000_000
# the paper's benchmark generates 25 tokens and compares after stripping white space
_ANSWER_TOKENS = 25
_SAMPLE_TOKENS = 64


class Watch:
    """The validation metrics of a run, on the held-out packages."""

    def __init__(self, training: Training, data: PackedData, config: TrainConfig, world: World) -> None:
        self._training, self._data, self._config, self._world = training, data, config, world
        self._questions = choose_questions(data, config.fim_questions) if world.is_first else []

    def validate(self) -> tuple[dict[str, float], tuple[str, str]]:
        """Compute the metrics by name, and a sample as (prompt, text)."""
        loss, bits_per_byte = validation_loss(self._training, self._data, self._config, self._world)
        metrics = {"validation_loss": loss, "bits_per_byte": bits_per_byte}
        written = ("", "")
        model = plain_model(self._training.model, self._world)
        if model is not None and self._questions:
            if self._config.fim_rate:
                metrics["fim_exact_match"] = exact_match(model, self._data.tokenizer, self._questions)
            written = sample(model, self._data.tokenizer, self._questions[0])
        self._world.wait_for_all()
        return metrics, written


@dataclass(frozen=True)
class Question:
    """A line of a held-out file, without its indentation, and the text before and after it."""

    prefix: str
    line: str
    suffix: str


@torch.no_grad()
def validation_loss(training: Training, data: PackedData, config: TrainConfig, world: World) -> tuple[float, float]:
    """Loss in nats per token and bits per byte, over ``validation_batches`` evenly spread batches, without FIM.

    Bits are counted for all tokens, bytes only for text: end-of-text tokens have none.

    Raises:
        UserError: there are fewer than two held-out tokens.
    """
    inputs, targets = _spread(data.validation, config, world)
    n_bytes = _token_bytes(data.tokenizer)[targets[targets != IGNORED_TARGET]].sum()
    training.summed_loss.eval()
    nats = 0.0
    share = config.batch_size // world.size
    for part in micro_batches((inputs, targets), config.micro_batch_size or share):
        nats += training.summed_loss(*(ids.to(world.device) for ids in part)).item()
    training.summed_loss.train()
    if isinstance(training.summed_loss, FSDPModule):
        training.summed_loss.reshard()  # the backward pass would do it otherwise
    nats, n_tokens, total_bytes = world.total(nats, int((targets != IGNORED_TARGET).sum()), int(n_bytes))
    return nats / n_tokens, nats / math.log(2) / max(1, total_bytes)


def choose_questions(data: PackedData, count: int) -> list[Question]:
    """Choose ``count`` lines of the held-out files, or as many as there are. The choice is deterministic."""
    end_of_text = data.tokenizer.end_of_text_id
    documents = split_documents(np.asarray(data.validation[:_QUESTION_TOKENS]), end_of_text)
    candidates = []
    for text in (data.tokenizer.decode(document.tolist()) for document in documents):
        lines = text.splitlines(keepends=True)
        candidates += [(lines, number) for number, line in enumerate(lines) if len(line.strip()) > 3]
    chosen = np.random.default_rng(0).permutation(len(candidates))[:count]
    return [_question(*candidates[index]) for index in chosen]


def exact_match(model: SantaCoder, tokenizer: Tokenizer, questions: list[Question]) -> float:
    """The fraction of ``questions`` whose line the model infills exactly, greedily in PSM order, with token
    healing."""
    # the prefix ends with the indentation, which tokenizers have in one token with what is around it
    sampling = SamplingParams(temperature=0, max_new_tokens=_ANSWER_TOKENS, stop=("\n",), token_healing=True)
    requests = [CompletionRequest(question.prefix, question.suffix, sampling) for question in questions]
    answers = _write(model, tokenizer, requests)
    right = [answer.strip() == question.line.strip() for answer, question in zip(answers, questions, strict=True)]
    return sum(right) / len(right)


def sample(model: SantaCoder, tokenizer: Tokenizer, question: Question) -> tuple[str, str]:
    """Return a prompt, the last ten lines at most before a question's line, and the model's continuation.

    The prompt ends with the last line's text: most tokenizers have line break and indentation in one token.
    """
    prompt = "".join(question.prefix.splitlines(keepends=True)[-10:]).rstrip() or question.line
    sampling = SamplingParams(temperature=0.2, max_new_tokens=_SAMPLE_TOKENS, seed=0)
    return prompt, _write(model, tokenizer, [CompletionRequest(prompt, sampling=sampling)])[0]


def _write(model: SantaCoder, tokenizer: Tokenizer, requests: list[CompletionRequest]) -> list[str]:
    engine = Engine(TorchRunner(model), tokenizer)
    try:
        return [
            "".join(event.text for event in engine.submit(request) if isinstance(event, TokenEvent))
            for request in requests
        ]
    finally:
        engine.close()


def _question(lines: list[str], number: int) -> Question:
    line = lines[number]
    content = line.strip()
    start = line.index(content)
    before, after = line[:start], line[start + len(content) :]
    return Question("".join(lines[:number]) + before, content, after + "".join(lines[number + 1 :]))


def _spread(tokens: np.ndarray, config: TrainConfig, world: World) -> tuple[torch.Tensor, torch.Tensor]:
    """This process's windows, as inputs and targets; ignored windows pad the share so that all processes have equally
    many.
    """
    length = min(config.sequence_length, len(tokens) - 1)
    if length < 1:
        raise UserError("The held-out package has fewer than two tokens: use a folder with larger files.")
    n_windows = min(config.validation_batches * config.batch_size, (len(tokens) - 1) // length)
    starts = np.linspace(0, len(tokens) - 1 - length, n_windows).astype(int)
    padded = np.resize(starts, -(-n_windows // world.size) * world.size)
    mine = range(world.rank, len(padded), world.size)
    rows = torch.from_numpy(np.stack([tokens[start : start + length + 1] for start in padded[mine]]).astype(np.int64))
    inputs, targets = rows[:, :-1], rows[:, 1:].clone()
    targets[[position >= n_windows for position in mine]] = IGNORED_TARGET
    return inputs, targets


def _token_bytes(tokenizer: Tokenizer) -> torch.Tensor:
    """[vocab_size]: the number of text bytes of each token, 0 for special tokens."""
    lengths = [len(tokenizer.decode_bytes([token_id])) for token_id in range(tokenizer.vocab_size)]
    for token_id in tokenizer.special_ids:
        lengths[token_id] = 0
    return torch.tensor(lengths)

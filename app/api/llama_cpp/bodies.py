"""Request bodies of llama.cpp's server.

https://github.com/ggml-org/llama.cpp/tree/master/tools/server
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from app.api.fields import (
    Body,
    EndFields,
    NotNegative,
    NotNegativeInt,
    Number,
    Share,
    Stop,
    ValidUnicode,
    one_of,
    unsupported,
)
from app.api.prompts import (
    UNLIMITED_NEW_TOKENS,
    WHOLE_CONTEXT,
    fitting_seed,
    gap_request,
    raw_request,
    stop_sequences,
    temperature_and_top_p,
)
from app.errors import ApiError
from santacoder.engine.line_ends import to_lf, uses_crlf
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

# llama.cpp's value for a random seed
ANY_SEED = 2**32 - 1
# the supported orders of samplers; the relative order of temperature and top_k makes no difference
_ORDERS = (
    ("penalties", "top_k", "top_p", "min_p", "temperature"),
    ("penalties", "temperature", "top_k", "top_p", "min_p"),
    ("penalties", "top_k", "temperature", "top_p", "min_p"),
)
# the letters of samplers, for "samplers" as a string
_SAMPLERS = {"e": "penalties", "k": "top_k", "p": "top_p", "m": "min_p", "t": "temperature", "i": "infill"}

# with a larger bias, a token is always or never chosen, whatever the logits
_LARGEST = 100.0
_MOST_DIGITS = 10  # of a token's number

Bias = Number | bool
LogitBias = Annotated[
    list[tuple[int | str, Bias]] | dict[str, Bias],
    one_of("Input should be pairs of a token id or text and a number or false, or an object of them"),
]


class SamplingBody(EndFields):
    """Fields and defaults that /infill and /completion share."""

    model: str | None = None
    n_predict: int = Field(-1, ge=-2, validation_alias=AliasChoices("n_predict", "max_completion_tokens", "max_tokens"))
    temperature: Annotated[NotNegative, Field(le=5)] = 0.8
    top_k: NotNegativeInt = 40
    top_p: Share = 0.95
    min_p: Share = 0.05
    repeat_penalty: Number = Field(1.0, ge=0.1, le=10)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    presence_penalty: Number = Field(0.0, ge=-2, le=2)
    repeat_last_n: int = Field(64, ge=-1)
    samplers: Annotated[
        str | list[str] | None, one_of("Input should be a list of names, or their letters"), ValidUnicode
    ] = None
    seed: int = -1
    logit_bias: LogitBias = []
    ignore_eos: bool = False
    stop: Stop = []
    stream: bool = False
    n_cmpl: int = Field(1, ge=1, le=32, validation_alias=AliasChoices("n_cmpl", "n"))
    n_indent: int = Field(0, ge=0)
    n_probs: int = Field(0, ge=0, le=20, validation_alias=AliasChoices("n_probs", "logprobs"))
    post_sampling_probs: bool = False
    return_tokens: bool = False
    timings_per_token: bool = False
    cache_prompt: bool = True
    t_max_predict_ms: int = 0
    response_fields: list[str] = []
    grammar: Annotated[Any, unsupported(lambda value: value == "")] = None
    json_schema: Annotated[Any, unsupported()] = None
    lora: Annotated[Any, unsupported(lambda value: value == [])] = None
    mirostat: Annotated[int, unsupported(lambda value: value <= 0)] = 0
    typical_p: Annotated[Number, unsupported(lambda value: value >= 1)] = 1
    top_n_sigma: Annotated[Number, unsupported(lambda value: value < 0)] = -1
    xtc_probability: Annotated[Number, unsupported(lambda value: value <= 0)] = 0
    dynatemp_range: Annotated[Number, unsupported(lambda value: value <= 0)] = 0
    dry_multiplier: Annotated[Number, unsupported(lambda value: value == 0)] = 0
    adaptive_target: Annotated[Number, unsupported(lambda value: value < 0)] = -1
    min_keep: Annotated[int, unsupported(lambda value: value <= 1)] = 0

    def sampling(self, index: int, biases: tuple[tuple[int, float], ...], default_seed: int | None) -> SamplingParams:
        """The parameters of text ``index``; ``biases`` are those of :func:`logit_bias`."""
        # llama.cpp's sampler "infill" takes the most likely continuation unless it is unsure; so does this server
        used = self.sampler_names
        greedy = "infill" in used and index == 0
        temperature = self.temperature if "temperature" in used else 1.0
        temperature, top_p = temperature_and_top_p(temperature, self.top_p if "top_p" in used else 1.0)
        penalise = "penalties" in used and self.repeat_last_n != 0
        return SamplingParams(
            max_new_tokens=UNLIMITED_NEW_TOKENS if self.n_predict < 0 else self.n_predict,
            temperature=0 if greedy else temperature,
            top_p=top_p,
            top_k=self.top_k if "top_k" in used else 0,
            min_p=self.min_p if "min_p" in used else 0.0,
            temperature_last=self._temperature_is_last(),
            repetition_penalty=self.repeat_penalty if penalise else 1.0,
            frequency_penalty=self.frequency_penalty if penalise else 0.0,
            presence_penalty=self.presence_penalty if penalise else 0.0,
            penalty_last_n=self.repeat_last_n if self.repeat_last_n > 0 else WHOLE_CONTEXT,
            ignore_eos=self.ignore_eos,
            seed=fitting_seed(-1 if self.seed == ANY_SEED else self.seed, default_seed, index),
            stop=stop_sequences(self.stop),
            top_logprobs=self.n_probs,
            logprobs_of_sampling=self.post_sampling_probs,
            logit_bias=biases,
        )

    def _temperature_is_last(self) -> bool:
        """Whether the temperature is applied after truncation by the other samplers, as by default.

        Raises:
            ApiError: the samplers have an order that this server does not support.
        """
        changes_something = {
            "penalties": self.repeat_penalty != 1 or self.frequency_penalty != 0 or self.presence_penalty != 0,
            "top_k": self.top_k > 0,
            "top_p": self.top_p < 1,
            "min_p": self.min_p > 0,
            "temperature": self.temperature != 1,
        }
        steps = [name for name in self.sampler_names if changes_something.get(name)]
        if not any(steps == [name for name in order if name in steps] for order in _ORDERS):
            raise ApiError(
                400,
                "samplers: This server applies penalties, top_k, top_p, min_p and temperature in this order, "
                "or the temperature before top_p and min_p.",
            )
        return "temperature" in steps and {"top_p", "min_p"}.isdisjoint(steps[steps.index("temperature") :])

    @property
    def sampler_names(self) -> list[str]:
        """The samplers to apply; by default all except the one for infilling."""
        if self.samplers is None:
            return [name for name in _SAMPLERS.values() if name != "infill"]
        return [_SAMPLERS.get(name, name) for name in self.samplers]


class Extra(Body):
    """Text from elsewhere in the project."""

    filename: str = ""
    text: str


class InfillBody(SamplingBody):
    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: list[Extra] = []
    prompt: str = ""


class PromptObject(Body):
    """A prompt with data for multimodal models."""

    prompt_string: str
    multimodal_data: Annotated[list[Any], unsupported(lambda value: not value)] = []


Prompt = str | Annotated[list[int | str], Field(min_length=1)] | PromptObject


class CompletionBody(SamplingBody):
    prompt: Annotated[
        Prompt | Annotated[list[Prompt], Field(min_length=1)],
        one_of(
            "Input should be text, token ids, a list of both in any order, an object with a prompt_string and nothing "
            "else, or a list of such prompts"
        ),
    ]

    @property
    def prompts(self) -> list[Prompt]:
        """One prompt or several; a list that contains a token id is a single prompt."""
        if isinstance(self.prompt, list) and not any(isinstance(part, int) for part in self.prompt):
            return self.prompt  # type: ignore[return-value]
        return [self.prompt]  # type: ignore[list-item]


class TokenizeBody(Body):
    model: str | None = None
    content: str
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeBody(Body):
    model: str | None = None
    tokens: list[Annotated[int, Field(ge=0)]]


def infill_request(body: InfillBody, sampling: SamplingParams) -> CompletionRequest:
    """The gap between prefix and suffix. Other files go before the prefix, where they are truncated first."""
    files = [(extra.filename, extra.text) for extra in body.input_extra]
    return gap_request(body.input_prefix + body.prompt, body.input_suffix, sampling, files)


def prompt_request(prompt: Prompt, sampling: SamplingParams, tokenizer: Tokenizer) -> CompletionRequest:
    """A prompt of text, tokens, or both. As in llama.cpp, it must fit in the context; only infilling prompts are
    truncated.

    Raises:
        UserError: a token that the model does not have.
    """
    if isinstance(prompt, PromptObject):
        prompt = prompt.prompt_string
    if isinstance(prompt, str):
        request = raw_request(prompt, sampling, tokenizer)
        return request if request.suffix is not None else replace(request, may_be_cut=False)
    text = "".join(part for part in prompt if isinstance(part, str))
    ids = [id_ for part in prompt for id_ in (tokenizer.encode(to_lf(part)) if isinstance(part, str) else [part])]
    return replace(raw_request(ids, sampling, tokenizer), crlf=uses_crlf(text), may_be_cut=False)


def logit_bias(given: LogitBias, tokenizer: Tokenizer) -> tuple[tuple[int, float], ...]:
    """Pairs of token id and bias. A text stands for all of its tokens; ``false`` bans a token."""
    pairs = [(_token(key), bias) for key, bias in given.items()] if isinstance(given, dict) else given
    return tuple((token_id, _number(bias)) for token, bias in pairs for token_id in _ids(token, tokenizer))


def _token(key: str) -> int | str:
    """A key of an object: a token id in digits, or a text."""
    if not key.isdecimal():
        return key
    if len(key) > _MOST_DIGITS:
        raise ApiError(400, f"logit_bias names a token with {len(key):,} digits; no model has so many tokens.")
    return int(key)


def _ids(token: int | str, tokenizer: Tokenizer) -> Iterable[int]:
    return [token] if isinstance(token, int) else tokenizer.encode(token)


def _number(bias: Bias) -> float:
    if isinstance(bias, bool):
        return 0.0 if bias else -math.inf
    return max(-_LARGEST, min(_LARGEST, bias))

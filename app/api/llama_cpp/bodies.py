"""Request bodies of llama.cpp's server.

https://github.com/ggml-org/llama.cpp/tree/master/tools/server
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, Field

from app.api.bodies import Body, NotNegative, NotNegativeInt, Number, Share, Stop, one_of, unsupported
from app.api.ends import EndFields
from app.api.errors import ApiError
from app.api.llama_cpp.logit_bias import LogitBias, logit_bias
from app.api.prompts import UNLIMITED_NEW_TOKENS, fitting_seed, stop_sequences, temperature_and_top_p
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
    samplers: Annotated[str | list[str] | None, one_of("Input should be a list of names, or their letters")] = None
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

    def sampling(self, index: int, tokenizer: Tokenizer, default_seed: int | None) -> SamplingParams:
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
            penalty_last_n=self.repeat_last_n if self.repeat_last_n > 0 else None,
            ignore_eos=self.ignore_eos,
            seed=fitting_seed(-1 if self.seed == ANY_SEED else self.seed, default_seed, index),
            stop=stop_sequences(self.stop),
            top_logprobs=self.n_probs,
            logprobs_of_sampling=self.post_sampling_probs,
            logit_bias=logit_bias(self.logit_bias, tokenizer),
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

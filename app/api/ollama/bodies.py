"""Requests of Ollama's clients.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.api.bodies import Body, NotNegative, NotNegativeInt, Number, Share, Stop, unsupported
from app.api.ends import EndFields
from app.api.prompts import (
    UNLIMITED_NEW_TOKENS,
    fitting_seed,
    gap_request,
    raw_request,
    stop_sequences,
    temperature_and_top_p,
)
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


class Options(EndFields):
    """Fields and defaults of the protocol; fields for hardware or loading have no effect."""

    num_predict: int = Field(-1, ge=-2)
    temperature: Annotated[NotNegative, Field(le=5)] = 0.8
    top_k: NotNegativeInt = 40
    top_p: Share = 0.9
    min_p: Share = 0.0
    repeat_penalty: Number = Field(1.0, ge=0.1, le=10)
    repeat_last_n: int = Field(64, ge=-1)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    presence_penalty: Number = Field(0.0, ge=-2, le=2)
    seed: int | None = None
    stop: Stop = []
    typical_p: Annotated[Number, unsupported(lambda value: value >= 1)] = 1.0
    tfs_z: Annotated[Number, unsupported(lambda value: value >= 1)] = 1.0
    mirostat: Annotated[int, unsupported(lambda value: value <= 0)] = 0


class GenerateBody(Body):
    model: str | None = None
    prompt: str = ""
    suffix: str = ""
    stream: bool = True
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)
    format: Annotated[Any, unsupported(lambda value: value == "")] = None
    images: Annotated[list[Any], unsupported(lambda value: not value)] = []
    system: Annotated[str, unsupported(lambda value: not value)] = ""
    template: Annotated[str, unsupported(lambda value: value in ("", "{{ .Prompt }}"))] = ""
    context: Annotated[list[int], unsupported(lambda value: not value)] = []
    think: Annotated[bool | str, unsupported(lambda value: not value)] = False

    def request(self, tokenizer: Tokenizer, default_seed: int | None) -> CompletionRequest:
        sampling = self._sampling(default_seed)
        if self.suffix:
            return self.options.with_ends(gap_request(self.prompt, self.suffix, sampling))
        return self.options.with_ends(raw_request(self.prompt, sampling, tokenizer))

    def _sampling(self, default_seed: int | None) -> SamplingParams:
        options = self.options
        temperature, top_p = temperature_and_top_p(options.temperature, options.top_p)
        penalise = options.repeat_last_n != 0
        return SamplingParams(
            max_new_tokens=UNLIMITED_NEW_TOKENS if options.num_predict < 0 else options.num_predict,
            temperature=temperature,
            top_k=options.top_k,
            top_p=top_p,
            min_p=options.min_p,
            repetition_penalty=options.repeat_penalty if penalise else 1.0,
            frequency_penalty=options.frequency_penalty if penalise else 0.0,
            presence_penalty=options.presence_penalty if penalise else 0.0,
            penalty_last_n=options.repeat_last_n if options.repeat_last_n > 0 else None,
            seed=fitting_seed(options.seed, default_seed),
            stop=stop_sequences(options.stop),
            top_logprobs=self.top_logprobs if self.logprobs else 0,
        )


class ShowBody(Body):
    model: str | None = None
    name: str | None = None

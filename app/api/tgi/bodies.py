"""Requests of Text Generation Inference's clients.

https://huggingface.github.io/text-generation-inference
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from app.api.bodies import Body, Number, unsupported
from app.api.ends import EndFields
from app.api.errors import ApiError
from app.api.prompts import fitting_seed, raw_request, stop_sequences
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


class Parameters(EndFields):
    """Fields and defaults of the protocol; any sampling parameter enables sampling."""

    max_new_tokens: int = Field(100, ge=1)
    do_sample: bool = False
    best_of: int = Field(1, ge=1, le=32)
    temperature: Number | None = Field(None, gt=0, le=5)
    top_k: int | None = Field(None, gt=0)
    top_p: Number | None = Field(None, gt=0, le=1)
    repetition_penalty: Number = Field(1.0, ge=0.1, le=10)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    seed: int | None = Field(None, ge=0)
    stop: list[str] = []
    truncate: int | None = Field(None, ge=1)
    return_full_text: bool = False
    details: bool = False
    decoder_input_details: bool = False
    top_n_tokens: int = Field(0, ge=0, le=5)
    typical_p: Annotated[Number, unsupported(lambda value: value == 1)] = 1.0
    watermark: Annotated[bool, unsupported(lambda value: not value)] = False
    grammar: Annotated[Any, unsupported()] = None
    adapter_id: Annotated[str, unsupported(lambda value: not value)] = ""

    @property
    def samples(self) -> bool:
        return self.do_sample or any(value is not None for value in (self.temperature, self.top_k, self.top_p))

    def sampling(self, index: int, default_seed: int | None) -> SamplingParams:
        return SamplingParams(
            max_new_tokens=self.max_new_tokens,
            temperature=(self.temperature or 1.0) if self.samples else 0,
            top_k=self.top_k or 0,
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=fitting_seed(self.seed, default_seed, index),
            stop=stop_sequences(self.stop),
            top_logprobs=self.top_n_tokens,
        )


class GenerateBody(Body):
    model: str | None = None
    inputs: str
    parameters: Parameters = Field(default_factory=lambda: Parameters.model_validate({}))
    stream: bool = False

    def requests(self, tokenizer: Tokenizer, default_seed: int | None) -> list[CompletionRequest]:
        """One request for each text of ``best_of``.

        Raises:
            ApiError: the parameters contradict each other.
        """
        if not self.inputs:
            raise ApiError(400, "inputs must not be empty.")
        if self.parameters.best_of > 1 and not self.parameters.samples:
            raise ApiError(400, "best_of needs sampling: without it, all texts would be the same.")
        samplings = [self.parameters.sampling(index, default_seed) for index in range(self.parameters.best_of)]
        return [self._request(sampling, tokenizer) for sampling in samplings]

    def check_stream(self) -> None:
        """
        Raises:
            ApiError: a parameter is not available in streams.
        """
        if self.parameters.best_of > 1:
            raise ApiError(400, "best_of cannot be streamed: which text is the best is known only at the end.")
        if self.parameters.decoder_input_details:
            raise ApiError(400, "decoder_input_details cannot be streamed.")

    def _request(self, sampling: SamplingParams, tokenizer: Tokenizer) -> CompletionRequest:
        echo = self.parameters.details and self.parameters.decoder_input_details
        request = self.parameters.with_ends(raw_request(self.inputs, sampling, tokenizer, echo=echo))
        if self.parameters.truncate is None:
            return request
        # TGI keeps the last tokens of the input
        return replace(request, prefix_ids=tuple(tokenizer.encode(request.prefix)[-self.parameters.truncate :]))

"""Text Generation Inference's own Python client against a real server.

It requires an old huggingface_hub, which pyproject.toml overrides.
"""

from __future__ import annotations

import httpx
import pytest

from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import Serving

text_generation = pytest.importorskip("text_generation", reason="make test installs text-generation")
errors = pytest.importorskip("text_generation.errors")

PROMPT = "def area(width, height):\n    return "


def test_text_generation(serving: Serving, http: httpx.Client, tokenizer: Tokenizer) -> None:
    body = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    greedy = http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    client = text_generation.Client(serving.url)
    # an echoed prompt is read as it is
    unhealed = http.post("/v1/completions", json={**body, "token_healing": False}).json()["choices"][0]["text"]
    told = client.generate(PROMPT, max_new_tokens=12, decoder_input_details=True)
    assert told.generated_text == unhealed and told.details.generated_tokens == len(told.details.tokens)
    assert [token.id for token in told.details.prefill] == tokenizer.encode(PROMPT)
    streamed = [answer.token for answer in client.generate_stream(PROMPT, max_new_tokens=12)]
    assert "".join(token.text for token in streamed if not token.special) == greedy
    best = client.generate(PROMPT, max_new_tokens=12, do_sample=True, best_of=3)
    assert best.details.best_of_sequences and len(best.details.best_of_sequences) == 2
    cut = client.generate("shelf = 1\n" + PROMPT, max_new_tokens=12, truncate=len(tokenizer.encode(PROMPT)))
    assert cut.generated_text == unhealed  # its prompt is tokens
    assert client.generate(PROMPT, max_new_tokens=12, truncate=1000).generated_text == greedy, "there is nothing to cut"
    for fields in ({"typical_p": 0.5}, {"watermark": True}):
        with pytest.raises(errors.ValidationError, match="does not support it"):
            client.generate(PROMPT, **fields)

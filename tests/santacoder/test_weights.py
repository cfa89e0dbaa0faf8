"""Checkpoints in other formats give the same logits as transformers with the same weights."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GPTBigCodeForCausalLM

from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.tokenizer import Tokenizer
from santacoder.weight_files import are_equal
from tests.santacoder import dialects
from tests.santacoder.dialects import Format

FORMATS: list[tuple[Format, int]] = [("safetensors", 1), ("safetensors", 3), ("bin", 1), ("bin", 3)]
TOKENS = torch.arange(40)[None] * 7 % 300


@torch.no_grad()
def assert_same_logits(folder: Path, twin: Any) -> None:
    model, _ = checkpoints.load(folder)
    torch.testing.assert_close(model(TOKENS), twin(TOKENS).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("file_format,n_shards", FORMATS)
@pytest.mark.parametrize("multi_query", [True, False])
def test_the_dialect_of_the_first_release(
    tmp_path: Path, tokenizer: Tokenizer, multi_query: bool, file_format: Format, n_shards: int
) -> None:
    twin, document, weights = dialects.santacoder_remote_code(512, multi_query=multi_query)
    dialects.write(tmp_path, document, weights, tokenizer, file_format=file_format, n_shards=n_shards)
    assert_same_logits(tmp_path, twin)


@pytest.mark.parametrize("file_format,n_shards", FORMATS)
@pytest.mark.parametrize("multi_query", [True, False])
def test_the_dialect_of_transformers(
    tmp_path: Path, tokenizer: Tokenizer, multi_query: bool, file_format: Format, n_shards: int
) -> None:
    twin = dialects.big_code(512, multi_query=multi_query)
    weights = {name: tensor.clone() for name, tensor in twin.state_dict().items()}
    dialects.write(tmp_path, twin.config.to_dict(), weights, tokenizer, file_format=file_format, n_shards=n_shards)
    assert_same_logits(tmp_path, twin)


@pytest.mark.parametrize("multi_query", [True, False])
def test_one_dialect_published_in_the_other_has_the_same_logits(
    tmp_path: Path, tokenizer: Tokenizer, multi_query: bool
) -> None:
    twin, document, weights = dialects.santacoder_remote_code(512, multi_query=multi_query)
    model, _ = checkpoints.load(dialects.write(tmp_path / "in", document, weights, tokenizer))
    checkpoints.publish(model, tokenizer, "test/twin", dtype=torch.float32, store=tmp_path)
    reread = GPTBigCodeForCausalLM.from_pretrained("test/twin", cache_dir=tmp_path)
    torch.testing.assert_close(reread(TOKENS).logits, twin(TOKENS).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("activation", ["gelu", "gelu_fast", "gelu_pytorch_tanh", "gelu_new"])
def test_each_form_of_gelu_is_the_one_asked_for(tmp_path: Path, tokenizer: Tokenizer, activation: str) -> None:
    twin = dialects.big_code(512, activation_function=activation, n_inner=160)
    dialects.write(tmp_path, twin.config.to_dict(), own_weights(twin), tokenizer)
    assert_same_logits(tmp_path, twin)
    model, _ = checkpoints.load(tmp_path)
    other = {"tanh": "none", "none": "tanh"}[model.config.gelu_approximate]
    for block in model.transformer.h:
        block.mlp.gelu_approximate = other
    assert (model(TOKENS) - twin(TOKENS).logits).abs().max() > 1e-4


def test_an_output_layer_of_its_own_is_kept_and_published(tmp_path: Path, tokenizer: Tokenizer) -> None:
    twin = dialects.big_code(512, tie_word_embeddings=False)
    dialects.write(tmp_path / "in", twin.config.to_dict(), own_weights(twin), tokenizer)
    assert_same_logits(tmp_path / "in", twin)
    model, _ = checkpoints.load(tmp_path / "in")
    checkpoints.publish(model, tokenizer, "test/untied", dtype=torch.float32, store=tmp_path)
    reread = GPTBigCodeForCausalLM.from_pretrained("test/untied", cache_dir=tmp_path)
    torch.testing.assert_close(reread(TOKENS).logits, twin(TOKENS).logits, atol=1e-4, rtol=1e-4)


def test_an_output_layer_equal_to_the_embedding_is_shared(tmp_path: Path, tokenizer: Tokenizer) -> None:
    twin = dialects.big_code(512)
    weights = {name: tensor.clone() for name, tensor in twin.state_dict().items()}
    assert "lm_head.weight" in weights
    model, _ = checkpoints.load(dialects.write(tmp_path, twin.config.to_dict(), weights, tokenizer))
    assert model.config.tie_word_embeddings and "lm_head.weight" not in model.state_dict()


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_precision_is_read_into_every_other(
    tmp_path: Path, tokenizer: Tokenizer, stored: torch.dtype, dtype: torch.dtype
) -> None:
    twin = dialects.big_code(512)
    weights = {name: tensor.to(stored) for name, tensor in own_weights(twin).items()}
    model, _ = checkpoints.load(dialects.write(tmp_path, twin.config.to_dict(), weights, tokenizer), dtype=dtype)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name].to(dtype))


def test_masks_that_old_files_carry_are_passed_over(tmp_path: Path, tokenizer: Tokenizer) -> None:
    twin, document, weights = dialects.santacoder_remote_code(512, multi_query=True)
    masks = {"transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8), "transformer.h.0.attn.masked_bias": torch.ones(1)}
    dialects.write(tmp_path, document, {**weights, **masks}, tokenizer)
    assert_same_logits(tmp_path, twin)


def test_special_tokens_have_the_ids_of_the_file(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Special tokens in another order, listed as ordinary additions, with settings left from training."""
    tokenizer.save(tmp_path / "tokenizer.json")
    document = json.loads((tmp_path / "tokenizer.json").read_text())
    ids = sorted(token["id"] for token in document["added_tokens"])
    for token, token_id in zip(document["added_tokens"], ids[::-1], strict=True):
        token["id"], token["special"] = token_id, False
    document["added_tokens"].sort(key=lambda token: token["id"])
    document["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    reordered = Tokenizer.load(tmp_path / "tokenizer.json")
    assert reordered.end_of_text_id == tokenizer.fim_pad_id
    text = "def f():\n    return '<fim-middle>'\n"
    assert reordered.encode(text) == tokenizer.encode(text)
    assert reordered.fim_middle_id in reordered.encode(text, allow_special=True)


def own_weights(twin: GPTBigCodeForCausalLM) -> dict[str, Tensor]:
    """The weights, without the output layer if it is the embedding."""
    shared = twin.config.tie_word_embeddings
    return {
        name: tensor.clone() for name, tensor in twin.state_dict().items() if not (shared and name == "lm_head.weight")
    }


class RunsAProgram:
    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_a_program_is_refused_and_not_run(tmp_path: Path, tokenizer: Tokenizer, zipped: bool) -> None:
    _, document, _ = dialects.santacoder_remote_code(512, multi_query=True)
    dialects.write(tmp_path, document, {}, tokenizer, file_format="bin")
    path, trace = tmp_path / "pytorch_model.bin", tmp_path / "it-ran"
    weights = {"transformer.wte.weight": RunsAProgram(f"touch {trace}")}
    if zipped:
        torch.save(weights, path)
    else:
        path.write_bytes(pickle.dumps(weights))
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin (contains something other than tensors|is damaged)"):
        checkpoints.load(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("file_format", ["safetensors", "bin"])
def test_weights_that_are_not_finite_are_named(
    tmp_path: Path, tokenizer: Tokenizer, value: float, file_format: Format
) -> None:
    _, document, weights = dialects.santacoder_remote_code(512, multi_query=True)
    weights["transformer.h.2.mlp.c_fc.weight"][5, 7] = value
    dialects.write(tmp_path, document, weights, tokenizer, file_format=file_format)
    with pytest.raises(CheckpointError, match=rf"{file_format}: transformer\.h\.2\.mlp\.c_fc\.weight has values that"):
        checkpoints.load(tmp_path)


def test_weights_too_large_for_half_precision_are_named(tmp_path: Path, tokenizer: Tokenizer) -> None:
    _, document, weights = dialects.santacoder_remote_code(512, multi_query=True)
    weights["transformer.h.1.ln_1.weight"][3] = 1e5
    dialects.write(tmp_path, document, weights, tokenizer)
    with pytest.raises(CheckpointError, match=r"ln_1\.weight has values that are not finite in float16"):
        checkpoints.load(tmp_path, dtype=torch.float16)


def test_missing_misshapen_and_left_over_tensors_are_named(tmp_path: Path, tokenizer: Tokenizer) -> None:
    _, document, weights = dialects.santacoder_remote_code(512, multi_query=True)
    name = "transformer.h.1.attn.kv_attn.weight"
    for change, sentence in (
        ({name: weights[name].t().contiguous()}, rf"{name} has shape \[32, 64\], but config.json requires \[64, 32\]"),
        ({"transformer.h.3.ln_1.bias": torch.zeros(64)}, r"has the tensor transformer\.h\.3\.ln_1\.bias, which"),
        ({name: torch.zeros(64, 32, dtype=torch.int8)}, f"{name} is not a tensor of floating-point numbers"),
    ):
        dialects.write(tmp_path, document, {**weights, **change}, tokenizer)
        with pytest.raises(CheckpointError, match=rf"model\.safetensors.*{sentence}"):
            checkpoints.load(tmp_path)
    del weights[name]
    dialects.write(tmp_path, document, weights, tokenizer)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors lacks the tensor {name}"):
        checkpoints.load(tmp_path)


@pytest.fixture(params=["safetensors", "bin"])
def sharded(request: pytest.FixtureRequest, tmp_path: Path, tokenizer: Tokenizer) -> Path:
    _, document, weights = dialects.santacoder_remote_code(512, multi_query=True)
    return dialects.write(tmp_path, document, weights, tokenizer, file_format=request.param, n_shards=3)


def test_an_absent_shard_is_named(sharded: Path) -> None:
    shard = next(sharded.glob("*00002-of-00003*"))
    shard.unlink()
    with pytest.raises(CheckpointError, match=rf"index\.json names {shard.name}, which is missing"):
        checkpoints.load(sharded)


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9])
def test_a_truncated_shard_is_named(sharded: Path, keep: float) -> None:
    shard = next(sharded.glob("*00003-of-00003*"))
    data = shard.read_bytes()
    shard.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match=rf"{shard.name} (is damaged or truncated|contains something other)"):
        checkpoints.load(sharded)


def test_a_shard_without_what_the_index_promises_is_named(sharded: Path) -> None:
    shard = next(sharded.glob("*00001-of-00003*"))
    dialects.save({"x": torch.zeros(1)}, shard)
    with pytest.raises(CheckpointError, match=rf"{shard.name} lacks the tensor .*, which .* lists in it"):
        checkpoints.load(sharded)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "\x00"])
def test_a_damaged_index_is_named(sharded: Path, content: str) -> None:
    next(sharded.glob("*.index.json")).write_text(content)
    with pytest.raises(CheckpointError, match=r"index\.json (is not an index of weights|cannot be)"):
        checkpoints.load(sharded)


@pytest.mark.parametrize("file", ["../../../../etc/passwd", "/etc/passwd"])
def test_an_index_reads_no_file_outside_its_folder(sharded: Path, file: str) -> None:
    next(sharded.glob("*.index.json")).write_text(json.dumps({"weight_map": {"transformer.wte.weight": file}}))
    with pytest.raises(CheckpointError, match=r"index\.json (is not an index|names)"):
        checkpoints.load(sharded)


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"attention_head_type": None}, "attention_head_type is None"),
        ({"activation_function": "relu"}, "activation_function 'relu' is not supported"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx True is not supported"),
        ({"n_layer": 0}, "n_layer must be a positive whole number, not 0"),
        ({"n_head": "4"}, "n_head must be a positive whole number, not '4'"),
        ({"n_positions": 10**12}, "n_positions is 1000000000000; at most 1,048,576 is supported"),
        ({"vocab_size": 10}, "has .* tokens, more than the 10 of the model"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    tmp_path: Path, tokenizer: Tokenizer, change: dict, sentence: str
) -> None:
    _, document, weights = dialects.santacoder_remote_code(512, multi_query=True)
    dialects.write(tmp_path, {**document, **change}, weights, tokenizer)
    with pytest.raises(CheckpointError, match=sentence):
        checkpoints.load(tmp_path)


def test_a_missing_output_layer_is_not_replaced_by_the_embedding(tmp_path: Path, tokenizer: Tokenizer) -> None:
    twin = dialects.big_code(512, tie_word_embeddings=False)
    weights = {name: tensor for name, tensor in own_weights(twin).items() if name != "lm_head.weight"}
    dialects.write(tmp_path, twin.config.to_dict(), weights, tokenizer)
    with pytest.raises(CheckpointError, match="lm_head.weight"):
        checkpoints.load(tmp_path)


def test_weights_are_equal_if_all_files_are(tmp_path: Path) -> None:
    parts = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    for folder in ("one", "same", "other", "pickled"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors.index.json").write_text("{}")
        for part in parts:
            (tmp_path / folder / part).write_bytes(b"weights")
    (tmp_path / "other" / parts[1]).write_bytes(b"WEIGHTS")
    for part in parts:
        (tmp_path / "pickled" / part).rename((tmp_path / "pickled" / part).with_suffix(".bin"))
    equal = [are_equal(tmp_path / "one", tmp_path / name) for name in ("one", "same", "other", "pickled")]
    assert equal == [True, True, False, False]

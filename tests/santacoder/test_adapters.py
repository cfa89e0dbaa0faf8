"""LoRA adapters over a base revision, compared with ``peft`` itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from santacoder import checkpoints
from santacoder.adapters import Adapter
from santacoder.checkpoints import CheckpointError
from santacoder.tokenizer import Tokenizer
from tests.santacoder.dialects import SHAPE, big_code, in_gpt_bigcode, santacoder_remote_code, write

IDS = torch.arange(40)[None] * 7 % 400
MATRICES = ["c_attn", "c_proj", "c_fc"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def adapted(base: PreTrainedModel, folder: Path, **settings: Any) -> torch.Tensor:
    """Save an adapter of random weights with peft, and return the logits of peft's model."""
    torch.manual_seed(1)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **settings))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.eval().save_pretrained(folder)
    with torch.no_grad():
        return model(IDS).logits


def base_model(store: Path) -> PreTrainedModel:
    where = {"revision": "main", "cache_dir": store, "local_files_only": True}
    return AutoModelForCausalLM.from_pretrained("test/tiny", **where)


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 4, "lora_alpha": 12, "target_modules": MATRICES},
        {"r": 4, "target_modules": ["c_fc"], "use_rslora": True, "bias": "all"},
        {"r": 2, "target_modules": MATRICES, "rank_pattern": {"h.1.mlp.c_fc": 8}, "alpha_pattern": {"c_attn": 3}},
        {"r": 2, "target_modules": ["c_attn"], "modules_to_save": ["ln_f", "wpe"]},
        {"r": 2, "target_modules": ["wte", "c_attn"]},
        {"r": 2, "target_modules": ["c_attn"], "modules_to_save": ["lm_head"]},
        {"r": 2, "target_modules": r".*\.h\.[12]\.attn\.c_(attn|proj)"},
    ],
)
def test_the_logits_are_those_of_peft(settings: dict[str, Any], store: Path, tmp_path: Path) -> None:
    expected = adapted(base_model(store), tmp_path / "adapter", **settings)
    model, _ = checkpoints.load("test/tiny", f"main+{tmp_path / 'adapter'}", store=store)
    with torch.no_grad():
        torch.testing.assert_close(model(IDS), expected, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(model(IDS), checkpoints.load("test/tiny", store=store)[0](IDS), atol=0.1)


def written_base(folder: Path, document: dict[str, Any], weights: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    """A checkpoint as the repository org/mha of the store ``folder``."""
    repository = folder / "models--org--mha"
    write(repository / "snapshots" / ("a" * 40), document, weights, tokenizer)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)


ON_MHA: list[dict[str, Any]] = [
    *({"r": 4, "target_modules": [target]} for target in MATRICES),
    {"r": 4, "target_modules": ["c_attn"], "bias": "all"},
    {"r": 4, "target_modules": ["c_fc"], "modules_to_save": ["c_attn"]},
    {"r": 4, "target_modules": ["c_fc"], "modules_to_save": ["c_proj"]},
]


@pytest.mark.parametrize("settings", ON_MHA)
def test_an_adapter_of_the_original_format_is_merged_into_it(
    settings: dict[str, Any], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The format of ``bigcode/santacoder``, whose matrices are (in, out)."""
    twin, document, weights = santacoder_remote_code(tokenizer.vocab_size, multi_query=False)
    written_base(tmp_path, document, weights, tokenizer)
    expected = adapted(twin, tmp_path / "adapter", fan_in_fan_out=True, **settings)
    model, _ = checkpoints.load("org/mha", f"main+{tmp_path / 'adapter'}", store=tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(model(IDS), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", ON_MHA)
@pytest.mark.parametrize("base_is_original", [True, False])
def test_an_adapter_of_one_format_is_merged_into_the_other(
    settings: dict[str, Any], base_is_original: bool, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """With multi-head attention, GPTBigCode has query, key and value of each head together, GPT-2 those of all heads.

    Both are the same model: the reference for either format is transformers' and peft's model of the other.
    """
    twin, document, weights = santacoder_remote_code(tokenizer.vocab_size, multi_query=False)
    converted = in_gpt_bigcode(weights, SHAPE["n_head"])
    big_code_twin = big_code(tokenizer.vocab_size, multi_query=False, activation_function="gelu_pytorch_tanh")
    big_code_twin.load_state_dict(converted, strict=False)
    with torch.no_grad():
        torch.testing.assert_close(big_code_twin.eval()(IDS).logits, twin.eval()(IDS).logits, rtol=1e-4, atol=1e-4)
    if base_is_original:
        written_base(tmp_path, document, weights, tokenizer)
        expected = adapted(big_code_twin, tmp_path / "adapter", **settings)
    else:
        written_base(tmp_path, big_code_twin.config.to_dict(), converted, tokenizer)
        expected = adapted(twin, tmp_path / "adapter", fan_in_fan_out=True, **settings)
    model, _ = checkpoints.load("org/mha", f"main+{tmp_path / 'adapter'}", store=tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(model(IDS), expected, rtol=1e-4, atol=1e-4)


def test_an_update_of_the_query_alone_changes_its_rows_alone(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """``q_attn`` is a matrix of the original format, which peft cannot build here without running the Hub's code."""
    _, document, weights = santacoder_remote_code(tokenizer.vocab_size, multi_query=True)
    folder = write(tmp_path / "base", document, weights, tokenizer)
    before = checkpoints.load(folder)[0].transformer.h[1].attn.c_attn.weight.clone()
    a, b = torch.randn(2, 64), torch.randn(64, 2)
    (folder / "adapter").mkdir()
    name = "base_model.model.transformer.h.1.attn.q_attn.lora_{}.weight"
    save_file({name.format("A"): a, name.format("B"): b}, folder / "adapter" / "adapter_model.safetensors")
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 6}))
    after = checkpoints.load(folder)[0].transformer.h[1].attn.c_attn.weight
    torch.testing.assert_close(after[:64] - before[:64], 3 * b @ a, rtol=1e-4, atol=1e-4)
    assert torch.equal(after[64:], before[64:])


def test_a_revision_with_an_adapter_is_a_commit_of_its_own(store: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    adapted(base_model(store), first, r=2, target_modules=["c_fc"])
    both = checkpoints.resolve("test/tiny", f"main+{first}", store=store)
    base = checkpoints.resolve("test/tiny", store=store)
    assert both != base and len(both.name) == 40
    assert checkpoints.resolve("test/tiny", both.name, store=store) == both
    assert checkpoints.resolve("test/tiny", f"{base.name[:8]}+{first}", store=store) == both
    assert checkpoints.resolve("test/tiny", f"other+{first}", store=store) != both
    weights = load_file(first / "adapter_model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, first / "adapter_model.safetensors")
    changed = checkpoints.resolve("test/tiny", f"main+{first}", store=store)
    assert changed != both and checkpoints.load(both) and not (both / "commit.json").exists()


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"peft_type": "IA3"}, "only LoRA adapters are supported, not 'IA3'"),
        ({"use_dora": True}, "use_dora is not supported; merge it with peft"),
        ({"init_lora_weights": "pissa_niter_4"}, "peft changes the base model, too"),
        ({"lora_alpha": "x"}, "lora_alpha must be a number"),
        ({"lora_alpha": float("nan")}, "lora_alpha must be a number"),
        ({"alpha_pattern": ["x"]}, "alpha_pattern must be an object"),
    ],
)
def test_what_cannot_be_applied_is_a_sentence(
    change: dict[str, Any], sentence: str, store: Path, tmp_path: Path
) -> None:
    adapted(base_model(store), tmp_path / "a", r=2, target_modules=["c_fc"])
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(CheckpointError, match=sentence):
        checkpoints.load("test/tiny", f"main+{tmp_path / 'a'}", store=store)


@pytest.mark.parametrize(
    "make,sentence",
    [
        (lambda tensors: {f"{next(iter(tensors))}.more": torch.zeros(2)}, "which this project cannot apply"),
        (lambda tensors: {next(iter(tensors)): torch.full((2, 64), torch.nan)}, "are not finite"),
        (lambda tensors: {next(iter(tensors)): torch.zeros(2, 63)}, "is for another model: it changes"),
        (lambda tensors: {next(iter(tensors)): torch.zeros(3, 64)}, "do not belong together"),
        (lambda tensors: {"base_model.model.x.weight": torch.zeros(2)}, "which the base model does not have"),
        (lambda tensors: b"{}", "is damaged or truncated"),
    ],
)
def test_damaged_adapters_and_those_of_other_models_are_sentences(
    make: Any, sentence: str, store: Path, tmp_path: Path
) -> None:
    adapted(base_model(store), tmp_path / "a", r=2, target_modules=["c_fc"])
    file = tmp_path / "a" / "adapter_model.safetensors"
    tensors = load_file(file)
    change = make(tensors)
    file.write_bytes(change) if isinstance(change, bytes) else save_file({**tensors, **change}, file)
    with pytest.raises(CheckpointError, match=sentence):
        checkpoints.load("test/tiny", f"main+{tmp_path / 'a'}", store=store)


def test_an_adapter_that_is_not_there_is_a_sentence(store: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a model name"):
        checkpoints.resolve("test/tiny", f"main+{tmp_path}", store=store)
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE is set"):
        checkpoints.resolve("test/tiny", "main+org/adapter", store=store)
    with pytest.raises(CheckpointError, match="There is no adapter 'org/adapter'"):
        checkpoints.resolve("test/tiny", "main+org/adapter", store=store, download=False)


def test_factors_without_rows_are_a_sentence(store: Path, tmp_path: Path) -> None:
    adapted(base_model(store), tmp_path / "a", r=2, target_modules=["c_fc"])
    file = tmp_path / "a" / "adapter_model.safetensors"
    tensors = load_file(file)
    first = next(name for name in tensors if "lora_A" in name)
    other = first.replace("lora_A", "lora_B")
    save_file({**tensors, first: tensors[first][:0], other: tensors[other][:, :0].contiguous()}, file)
    with pytest.raises(CheckpointError, match="are empty"):
        checkpoints.load("test/tiny", f"main+{tmp_path / 'a'}", store=store)


def test_an_update_goes_to_the_device_of_the_weights(store: Path, tmp_path: Path) -> None:
    """The device without memory stands for a GPU: it does not take tensors of the CPU either."""
    adapted(base_model(store), tmp_path / "a", r=2, target_modules=["c_fc"])
    adapter = Adapter(tmp_path / "a")
    name = next(name for name in adapter.names if name.endswith("c_fc.weight"))
    adapter.apply(name, torch.empty(256, 64, device="meta", dtype=torch.bfloat16), is_transposed=False)


def test_a_list_of_commits_downloads_no_adapter(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list of models of a server, whose own revision has an adapter of the Hub that is not here."""

    def contacted(*arguments: Any) -> Path:
        raise AssertionError(f"The Hub was contacted: {arguments}")

    monkeypatch.setattr("santacoder.checkpoints.hub.download_adapter", contacted)
    with pytest.raises(CheckpointError, match="some/adapter"):
        checkpoints.log("test/tiny", "main+some/adapter", store=store, ask_hub=False)

"""Untrusted checkpoints: problems are reported as a sentence before they cost memory or time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from tests.conftest import REPOSITORY, random_model

Document = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A separate snapshot, to be damaged."""
    checkpoints.publish(random_model(), tokenizer, "test/tiny", dtype=torch.float32, store=tmp_path)
    return checkpoints.resolve("test/tiny", store=tmp_path)


def edit(path: Path, change: Callable[[Document], Any]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


# ── commit.json and what else is read of a branch ──


def test_commits_that_are_each_others_parents_are_listed_once(tmp_path: Path, tokenizer: Tokenizer) -> None:
    shas = [checkpoints.publish(random_model(), tokenizer, "a/b", step=step, store=tmp_path) for step in range(3)]
    first = tmp_path / "models--a--b" / "snapshots" / shas[0] / "commit.json"
    for parent in (shas[2], shas[0]):
        edit(first, lambda document, parent=parent: document.update(parent=parent))
        assert [commit.sha for commit in checkpoints.log("a/b", store=tmp_path)] == shas[::-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"parent": "../../../../etc"},
        {"parent": ["a"]},
        {"step": "many"},
        {"step": True},
        {"tokens": 10**400},
        {"date": 5},
        {"metrics": [1]},
        {"metrics": {"loss": "low"}},
        {"unknown": 1},
    ],
)
def test_a_commit_of_wrong_types_is_a_sentence(folder: Path, changes: Document) -> None:
    edit(folder / "commit.json", lambda document: document.update(changes))
    with pytest.raises(CheckpointError, match=r"^test/tiny@[0-9a-f]{8}/commit\.json cannot be read: "):
        checkpoints.log("test/tiny", store=folder.parents[2])


def test_numbers_of_a_training_that_diverged_are_left_out(folder: Path) -> None:
    changes = {"validation_loss": float("nan"), "metrics": {"bits_per_byte": float("inf"), "fim_exact_match": 0.5}}
    edit(folder / "commit.json", lambda document: document.update(changes))
    (folder / "curves.json").write_text('{"loss": [[1, 2.5], [2, NaN], [3, Infinity]]}')
    (commit,) = checkpoints.log("test/tiny", store=folder.parents[2])
    assert commit.validation_loss is None and commit.metrics == {"fim_exact_match": 0.5}
    assert checkpoints.read_curves(folder) == {"loss": [(1, 2.5)]}


@pytest.mark.parametrize("name", ["commit.json", "curves.json", "eval.json", "config.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff\xfe{}", b"[1]", b'{"a": ' * 5000, b'{"results": 5, "a": 1}', b" " * (17 << 20)]
)
def test_damaged_files_are_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    readers = (
        lambda: checkpoints.log("test/tiny", store=folder.parents[2]),
        lambda: checkpoints.read_curves(folder),
        lambda: checkpoints.read_scores(folder),
        lambda: checkpoints.load(folder),
    )
    with pytest.raises(CheckpointError, match=name):
        for read in readers:
            read()


@pytest.mark.parametrize("name", ["commit.json", "config.json", "tokenizer.json", "model.safetensors"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(CheckpointError, match=rf"{name} is (not a regular file|missing)"):
        checkpoints.log("test/tiny", store=folder.parents[2])
        checkpoints.load(folder)


# ── config.json ──


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=50),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from([10**400, "gpt2", "gelu", -1, 0, 0.5]),
)
KEYS = sorted(SantaCoderConfig().to_transformers(eos_token_id=0, dtype="float32"))


@settings(max_examples=300)
@given(
    changes=st.dictionaries(st.sampled_from([*KEYS, "attention_head_type", "add_cross_attention"]), VALUES, max_size=4)
)
def test_a_config_of_any_types_is_read_or_refused_with_a_sentence(changes: Document) -> None:
    document = {**random_model().config.to_transformers(eos_token_id=0, dtype="float32"), **changes}
    try:
        config = SantaCoderConfig.from_transformers(document)
    except UserError as error:
        assert len(str(error)) < 300
        return
    assert 0 < config.n_parameters < 1 << 60
    assert isinstance(config.layer_norm_epsilon, (int, float)) and isinstance(config.multi_query, bool)


@pytest.mark.parametrize(
    "changes,sentence",
    [
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon must be a number between 0 and 1, not 'small'"),
        ({"n_layer": True}, "n_layer must be a positive whole number, not True"),
        ({"n_layer": 10**7}, "n_layer is 10000000; at most 1,024 is supported"),
        ({"n_positions": 10**12}, "n_positions is 1000000000000; at most 1,048,576 is supported."),
        ({"multi_query": "no"}, "multi_query must be true or false, not 'no'"),
        ({"model_type": ["gpt2"] * 1000}, r"model_type is \['gpt2', .* …, but a SantaCoder has"),
    ],
)
def test_a_config_that_cannot_be_is_a_sentence(folder: Path, changes: Document, sentence: str) -> None:
    edit(folder / "config.json", lambda document: document.update(changes))
    with pytest.raises(CheckpointError, match=rf"^test/tiny@[0-9a-f]{{8}}/config\.json cannot be used: {sentence}"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    "changes,sentence",
    [
        ({"n_layer": 1024}, "lacks the tensor transformer.h.10.attn.c_attn.bias"),
        ({"n_positions": 1 << 20}, r"wpe.weight has shape \[128, 64\], but config.json requires \[1048576, 64\]"),
        ({"vocab_size": 1 << 20}, r"wte.weight has shape \[512, 64\], but config.json requires \[1048576, 64\]"),
        ({"n_inner": 1 << 18}, "but config.json requires"),
    ],
)
def test_a_shape_that_the_weights_have_not_is_refused_before_there_is_room_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: Document, sentence: str
) -> None:
    def allocate(*arguments: Any) -> Any:
        raise AssertionError("memory was taken")

    monkeypatch.setattr("santacoder.weights._allocate", allocate)
    edit(folder / "config.json", lambda document: document.update(changes))
    with pytest.raises(CheckpointError, match=sentence):
        checkpoints.load(folder)


@given(
    n_head=st.integers(1, 4),
    head_dim=st.integers(1, 8),
    n_layer=st.integers(1, 3),
    n_inner=st.none() | st.integers(1, 30),
    multi_query=st.booleans(),
    tied=st.booleans(),
)
def test_parameters_are_counted_as_the_model_has_them(
    n_head: int, head_dim: int, n_layer: int, n_inner: int | None, multi_query: bool, tied: bool
) -> None:
    config = SantaCoderConfig(
        vocab_size=50,
        n_positions=20,
        n_embd=n_head * head_dim,
        n_layer=n_layer,
        n_head=n_head,
        n_inner=n_inner,
        multi_query=multi_query,
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = SantaCoder(config)
    assert config.n_parameters == sum(parameter.numel() for parameter in model.parameters())


# ── tokenizer.json ──


def set_normalizer(document: Document) -> None:
    document["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}


def hide_normalizer(document: Document) -> None:
    replace = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    document["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, replace]}


def set_large_id(document: Document) -> None:
    document["model"]["vocab"]["zz"] = 300_000_000


def set_large_added_id(document: Document) -> None:
    document["added_tokens"][0]["id"] = 300_000_000


def set_pattern(document: Document) -> None:
    split = {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, document["pre_tokenizer"]]}


def set_template(document: Document) -> None:
    piece = {"SpecialToken": {"id": "<fim-pad>", "type_id": 0}}
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [piece] * 100_000,
        "pair": [piece],
        "special_tokens": {"<fim-pad>": {"id": "<fim-pad>", "ids": [404], "tokens": ["<fim-pad>"]}},
    }


def set_long_token(document: Document) -> None:
    document["model"]["vocab"]["a" * 5000] = 1


def set_many_parts(document: Document) -> None:
    document["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}] * 999,
    }


def set_prefix(document: Document) -> None:
    document["model"]["continuing_subword_prefix"] = "#" * 1000


def set_unigram(document: Document) -> None:
    document["model"] = {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}


def set_text_id(document: Document) -> None:
    document["model"]["vocab"]["zz"] = "7"


# a kind of limit that the library answers by ending the process
LIMITED = """
import resource, sys
from santacoder.errors import CheckpointError, UserError
from santacoder.tokenizer import Tokenizer
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for path in sys.argv[1:]:
    try:
        Tokenizer.load(path).encode("a" * 100_000)
        print("loaded")
    except (CheckpointError, UserError) as error:
        print(error)
"""
HOSTILE = {
    set_normalizer: "its normalizer is of the kind 'Replace'",
    hide_normalizer: "its normalizer is of the kind 'Replace'",
    set_large_id: "the token 'zz' has the id 300000000; ids must be between 0 and 262,143",
    set_large_added_id: "the token '<|endoftext|>' has the id 300000000",
    set_pattern: "its pre_tokenizer is of the kind 'Split'",
    set_template: "its post_processor is of the kind 'TemplateProcessing'",
    set_long_token: "it has a token that is empty or longer than 1,024 characters",
    set_many_parts: "its pre_tokenizer has 999 parts; at most 8 are supported",
    set_prefix: "its model has a continuing_subword_prefix",
    set_unigram: "its model is 'Unigram', but SantaCoder's is BPE",
    set_text_id: "the token 'zz' has the id 7;",
}


def test_tokenizers_that_would_take_the_machine_are_refused_before_they_are_built(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    paths = []
    for number, change in enumerate(HOSTILE):
        paths.append(tmp_path / f"{number}.json")
        tokenizer.save(paths[-1])
        edit(paths[-1], change)
    command = [sys.executable, "-c", LIMITED, *map(str, paths)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for line, sentence in zip(result.stdout.splitlines(), HOSTILE.values(), strict=True):
        assert sentence in line


def test_of_a_key_that_is_there_twice_the_library_sees_what_was_checked(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    replace = '{"type": "Replace", "pattern": {"String": "a"}, "content": "bb"}'
    path.write_text(f'{{"normalizer": {replace}, {path.read_text().strip()[1:]}')
    assert Tokenizer.load(path).encode("banana") == tokenizer.encode("banana")


def test_settings_of_a_training_are_not_those_of_reading(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    padding = {"strategy": {"Fixed": 1 << 30}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    edit(path, lambda document: document.update(padding={**padding, "pad_type_id": 0, "pad_token": "x"}))
    edit(path, lambda document: document["model"].update(dropout=0.9))
    loaded = Tokenizer.load(path)
    assert {tuple(loaded.encode("def f(): return")) for _ in range(20)} == {tuple(tokenizer.encode("def f(): return"))}


# ── weights ──


def pickled(path: Path, program: bytes, *, name: str = "data.pkl", compression: int = zipfile.ZIP_STORED) -> None:
    """A file like those of ``torch.save``, with another pickle in it."""
    torch.save({"a": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    root = next(iter(members)).split("/")[0]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in members.items():
            if member != f"{root}/data.pkl":
                archive.writestr(member, content)
        archive.writestr(f"{root}/{name}", program)
        if name != "data.pkl":
            archive.writestr(f"{root}/data.pkl", members[f"{root}/data.pkl"])


BYTES = b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."  # bytearray(2**31 - 1)


@pytest.mark.parametrize(
    "program,options",
    [
        (BYTES, {}),
        (BYTES, {"name": "DATA.PKL"}),
        (BYTES, {"compression": zipfile.ZIP_DEFLATED}),
        (b"\x80\x02ctorch.storage\nUntypedStorage\nJ\xff\xff\xff\x7f\x85R.", {}),
        (b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R.", {}),
        (b"\x80\x02}" + b"(" * (5 << 20) + b".", {}),
    ],
)
def test_a_pickle_that_would_take_memory_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: bytes, options: Document
) -> None:
    monkeypatch.setattr(torch, "load", lambda *arguments, **settings: pytest.fail("it was read"))
    (folder / "model.safetensors").unlink()
    pickled(folder / "pytorch_model.bin", program, **options)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin contains something other than tensors"):
        checkpoints.load(folder)


def test_a_tensor_of_one_number_over_and_over_is_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weights["transformer.wte.weight"] = torch.zeros(1).expand(512, 64)
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"wte\.weight repeats its numbers"):
        checkpoints.load(folder)


# ── as other programs leave them ──


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: name.replace("transformer.h.", "transformer.h._fsdp_wrapped_module.", 1),
        lambda name: name.removeprefix("transformer."),
        lambda name: f"module.{name.removeprefix('transformer.')}",
    ],
    ids=["compiled", "parallel", "both", "sharded", "without-prefix", "parallel-without-prefix"],
)
@pytest.mark.parametrize("file_format", ["safetensors", "bin"])
def test_names_that_a_training_left_are_understood(
    folder: Path, rename: Callable[[str], str], file_format: str
) -> None:
    expected, _ = checkpoints.load(folder)
    weights = {rename(name): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    if file_format == "bin":
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors")
    model, _ = checkpoints.load(folder)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)


def test_two_tensors_of_one_name_are_told(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    twice = {**weights, "module.transformer.ln_f.bias": weights["transformer.ln_f.bias"].clone()}
    save_file(twice, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"has both .*ln_f\.bias and .*ln_f\.bias, which are the same tensor"):
        checkpoints.load(folder)


@pytest.mark.parametrize("with_model", [True, False])
def test_an_adapter_is_told_what_to_do_with(folder: Path, with_model: bool) -> None:
    weights = load_file(folder / "model.safetensors")
    if not with_model:
        for name in ("config.json", "model.safetensors"):
            (folder / name).unlink()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    with pytest.raises(CheckpointError, match=r"contains a LoRA adapter .* merge_and_unload"):
        checkpoints.load(folder)
    if with_model:
        (folder / "adapter_config.json").unlink()
        name = "base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight"
        save_file({**weights, name: torch.zeros(2, 64)}, folder / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"contains LoRA updates .* merge_and_unload"):
            checkpoints.load(folder)


def test_a_checkpoint_without_a_tokenizer_is_told_where_to_get_one(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"^test/tiny@[0-9a-f]{8} has no tokenizer\.json\. Copy it from the original model"
    ):
        checkpoints.load(folder)


def test_a_byte_order_mark_is_passed_over(folder: Path) -> None:
    for name in ("config.json", "tokenizer.json", "commit.json"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    checkpoints.load(folder)
    assert checkpoints.log("test/tiny", store=folder.parents[2])[0].sha == folder.name


def test_folders_that_are_no_models_are_passed_over(folder: Path) -> None:
    store = folder.parents[2]
    for name, ref in [("models--a--b--c", "main"), ("models--a--b", ".main.1.incomplete"), ("models---x--y", "main")]:
        (store / name / "refs").mkdir(parents=True)
        (store / name / "refs" / ref).write_text("0" * 40)
    assert checkpoints.repositories(store) == ["test/tiny"]

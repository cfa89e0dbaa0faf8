"""LoRA adapters as ``peft`` writes them (Hu et al., arXiv 2106.09685): W + (alpha / r) B A, and modules saved whole.

An adapter is a folder with ``adapter_config.json`` and ``adapter_model.safetensors``. It is merged into each parameter
of its base model as that is read.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from santacoder.checkpoint_files import read_object, shown
from santacoder.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
ADAPTER_FOLDER = "adapter"
"""Where a snapshot keeps the adapter that is merged into its weights."""
PREFIX = "base_model.model."
_WRAPPERS = {"base_layer", "modules_to_save", "default", "original_module"}
_UPDATE = re.compile(r"(?P<module>.+)\.lora_(?P<kind>embedding_)?(?P<factor>[AB])(\.default)?(\.weight)?")
_ONLY_CONV1D = re.compile(r"\.(q|kv)_attn\.")
# variants that are more than an update and its scale, by their keys in adapter_config.json
_UNSUPPORTED = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "lora_bias", "megatron_config"),
    *("monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora"),
    "velora_config",
)
# initial values that are taken from the base model's weights, which then are other weights
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


class Adapter:
    """The adapter in ``folder``.

    Raises:
        CheckpointError: a file is missing or damaged, or it is another kind of adapter.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / WEIGHTS_FILE
        self._config = _read_config(folder)
        try:
            with safe_open(self._path, framework="pt", device="cpu") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except FileNotFoundError as error:
            raise CheckpointError(f"{shown(self._path)} is missing; peft writes it by default.") from error
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{shown(self._path)} is damaged or truncated ({error}).") from error
        self._saved: dict[str, Tensor] = {}
        factors: dict[str, dict[str, Tensor]] = {}
        self._embeddings: set[str] = set()
        for stored_name, tensor in tensors.items():
            if not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
                raise CheckpointError(f"{shown(self._path)}: {stored_name} has values that are not finite numbers.")
            name = stored_name.removeprefix(PREFIX)
            if match := _UPDATE.fullmatch(name):
                factors.setdefault(match["module"], {})[match["factor"]] = tensor.float()
                if match["kind"]:
                    self._embeddings.add(match["module"])
            elif "lora_" in name:
                raise CheckpointError(f"{shown(self._path)} has {stored_name}, which this project cannot apply.")
            else:
                self._saved[".".join(part for part in name.split(".") if part not in _WRAPPERS)] = tensor.float()
        self._updates = {module: self._update(module, pair) for module, pair in factors.items()}

    @property
    def names(self) -> set[str]:
        """The tensors of the base model that it changes."""
        return {*self._saved, *(f"{module}.weight" for module in self._updates)}

    @property
    def is_for_conv1d(self) -> bool:
        """Whether it was made for GPT-2's ``Conv1D``, whose matrices are (in, out): peft then sets ``fan_in_fan_out``.
        The names ``q_attn`` and ``kv_attn`` exist only there.
        """
        return bool(self._config.get("fan_in_fan_out")) or any(_ONLY_CONV1D.search(name) for name in self.names)

    def apply(self, name: str, place: Tensor, *, is_transposed: bool) -> None:
        """Change the tensor ``name``, in ``place``; ``is_transposed`` if ``place`` is (in, out).

        Raises:
            CheckpointError: the adapter is for a tensor of another shape.
        """
        if (saved := self._saved.get(name)) is not None:
            place.copy_(self._fitted(name, saved, place))
        if (update := self._updates.get(name.removesuffix(".weight"))) is not None and name.endswith(".weight"):
            place.add_(self._fitted(name, update.t() if is_transposed else update, place).to(place))

    def _fitted(self, name: str, value: Tensor, place: Tensor) -> Tensor:
        wanted = [place.numel()] if value.dim() == 1 else [place.shape[0], place.shape[1:].numel()]
        if list(value.shape) != wanted:
            raise CheckpointError(
                f"{shown(self._path)} is for another model: it changes {name} as one of shape {list(value.shape)}, "
                f"but that has {wanted}."
            )
        return value.reshape(place.shape)

    def _update(self, module: str, pair: dict[str, Tensor]) -> Tensor:
        """What is added to a matrix [out, in], or to an embedding [V, n_embd]."""
        if pair.keys() != {"A", "B"} or pair["A"].dim() != 2 or pair["A"].shape[0] != pair["B"].shape[-1]:
            raise CheckpointError(f"{shown(self._path)}: the two factors of {module} do not belong together.")
        rank = pair["A"].shape[0]
        if not rank:
            raise CheckpointError(f"{shown(self._path)}: the two factors of {module} are empty.")
        alpha = self._by_pattern("alpha_pattern", module, self._config["lora_alpha"])
        scale = alpha / (math.sqrt(rank) if self._config.get("use_rslora") else rank)
        update = scale * (pair["B"] @ pair["A"])
        return update.t() if module in self._embeddings else update

    def _by_pattern(self, key: str, module: str, otherwise: float) -> float:
        """The value for a module, chosen like peft does: the first pattern that the end of its name matches."""
        for pattern, value in (self._config.get(key) or {}).items():
            if pattern == module or module.endswith(f".{pattern}") or _matches(pattern, module):
                return float(value)
        return float(otherwise)


def _matches(pattern: str, module: str) -> bool:
    """Whether ``pattern`` matches, as in ``layers.(1|2).c_fc``: its names, and alternatives of them.

    It comes from an untrusted file, so it is not run as a regular expression.
    """
    parts, names = pattern.replace("\\.", ".").strip("^$").split("."), module.split(".")
    if len(parts) > len(names):
        return False
    return all(
        name in part.strip("()").split("|") or (part == "\\d+" and name.isdigit())
        for part, name in zip(parts, names[-len(parts) :], strict=True)
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    config = read_object(path)
    if config.get("peft_type") != "LORA":
        raise CheckpointError(f"{shown(path)}: only LoRA adapters are supported, not {config.get('peft_type')!r}.")
    if unsupported := [key for key in _UNSUPPORTED if config.get(key)]:
        raise CheckpointError(f"{shown(path)}: {', '.join(unsupported)} is not supported; merge it with peft.")
    if str(config.get("init_lora_weights")).startswith(_CHANGES_BASE):
        raise CheckpointError(
            f"{shown(path)}: with init_lora_weights {config['init_lora_weights']!r}, peft changes the base model, too; "
            "merge it with peft."
        )
    by_pattern = config.get("alpha_pattern") or {}
    if not isinstance(by_pattern, dict):
        raise CheckpointError(f"{shown(path)}: alpha_pattern must be an object, with a number for each pattern.")
    numbers = [config.get("lora_alpha"), *by_pattern.values()]
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in numbers):
        raise CheckpointError(f"{shown(path)}: lora_alpha must be a number.")
    return config

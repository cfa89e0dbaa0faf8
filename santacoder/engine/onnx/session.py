"""Opens a graph with ONNX Runtime, and checks that its data is what it was exported with."""

from __future__ import annotations

import logging
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime

from santacoder import pytorch
from santacoder.checkpoint_files import shown
from santacoder.digests import sha256
from santacoder.errors import CheckpointError

log = logging.getLogger(__name__)

_LINUX_PROCESSORS = Path("/proc/cpuinfo")
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_session(graph: Path, device: str, *, captures: bool) -> tuple[onnxruntime.InferenceSession, bool]:
    """A session, and whether its runs may be captured as CUDA graphs: if ``captures`` is set and, on a GPU, the runtime
    has every operator there. Every run needs :func:`run_options`.

    Raises:
        CheckpointError: the graph or its data is damaged or made for another runtime, or the device cannot be used.
    """
    if device == "cuda":
        onnxruntime.preload_dlls()
    # compute the digest of the same file in parallel
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_sha256, _data_of(graph))
        session, captures = _session(graph, device, captures)
    _check_data(graph, digest.result(), session.get_modelmeta().custom_metadata_map.get("data_sha256"))
    return session, captures


def run_options(graph_id: int = -1, *, shrinks: bool = False) -> onnxruntime.RunOptions:
    """Options of runs that capture or replay the CUDA graph ``graph_id``; -1 for runs without one. With ``shrinks``,
    the CPU's memory that the runtime has reserved for activations is returned to the system after the run."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph_id))
    if shrinks:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _session(graph: Path, device: str, captures: bool) -> tuple[onnxruntime.InferenceSession, bool]:
    providers = _providers(device, captures)
    try:
        session = onnxruntime.InferenceSession(graph, _options(), providers=providers, enable_fallback=False)
    except Exception as error:  # the runtime's exceptions have no common type of their own
        if device == "cuda" and captures:
            session, _ = _session(graph, device, captures=False)
            log.warning("%s is served without CUDA graphs: %s", graph, first_line(error))
            return session, False
        advice = "use another device" if "memory" in str(error).lower() else "export it again"
        raise CheckpointError(
            f"{shown(graph)} cannot be used by ONNX Runtime {onnxruntime.__version__} ({first_line(error)}); {advice}."
        ) from error
    # if a library is missing, the runtime logs an error and silently falls back to the CPU
    if _PROVIDERS[device] not in session.get_providers():
        raise CheckpointError(
            f"ONNX Runtime cannot use the GPU here, although {device} was requested: CUDA 13 or cuDNN 9 may be missing."
        )
    return session, captures


def _providers(device: str, captures: bool) -> list[str | tuple[str, dict[str, str]]]:
    if device == "cpu":
        return [_PROVIDERS["cpu"]]
    return [(_PROVIDERS[device], {"enable_cuda_graph": str(int(captures))}), _PROVIDERS["cpu"]]


def runtime_has(device: str) -> bool:
    """Whether the installed runtime can use ``device``."""
    return _PROVIDERS[device] in onnxruntime.get_available_providers()


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not integers_add_up():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def integers_add_up() -> bool:
    """Whether sums of products of signed and unsigned bytes are exact in the runtime's fast kernels. On x86 without
    VNNI they saturate at 16 bits, and the runtime converts signed weights for other kernels when it opens a graph.
    Where nothing tells of VNNI, that is done, too."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    if _LINUX_PROCESSORS.is_file():  # PyTorch knows it everywhere, but takes a second to load
        return not {"avx512_vnni", "avx_vnni"}.isdisjoint(_LINUX_PROCESSORS.read_text().split())
    if not pytorch.is_installed():
        return False
    import torch

    processor = torch.cpu.get_capabilities()
    return bool(processor.get("avx512_vnni") or processor.get("avx_vnni"))


def _check_data(graph: Path, digest: str | None, expected: str | None) -> None:
    """The runtime notices external data that is too short, but not data that has changed."""
    if expected is None or digest is None:
        raise CheckpointError(
            f"{shown(graph)} is not a graph of this project's export, so its weights cannot be checked."
        )
    if digest != expected:
        raise CheckpointError(
            f"{shown(_data_of(graph))} is damaged: its contents are not those that {graph.name} was written with."
        )


def _data_of(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}_data")


def _sha256(path: Path) -> str | None:
    """The digest of a file's contents; None if there is no such file."""
    return sha256(path).hex() if path.is_file() else None


def first_line(error: Exception) -> str:
    """What the runtime says, without the number and kind of the error; where errors are nested, the innermost one."""
    innermost = str(error).split("\n")[0].rpartition("[ONNXRuntimeError] : ")[2]
    return innermost.split(" : ", 2)[-1]

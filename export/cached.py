"""Write the graph of a Hub commit into the user's cache, tensor by tensor, without loading the model.

``python -m export.cached SNAPSHOT FOLDER PRECISION LIMIT`` is the process that a server starts: it prints the fraction
of the work that is done, a line for each layer, and ends when nobody reads it any more.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.checkpoints import graph_cache
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.runner import graph_name
from santacoder.engine.onnx.session import integers_add_up
from santacoder.errors import CheckpointError

_BYTES_PER_WEIGHT = {"fp32": 4.1, "fp16": 2.1, "bf16": 2.1, "int8": 1.1, "int4": 0.7, "q8f16": 1.3, "q4f16": 0.9}
_UNQUANTISED = ("fp32", "fp16", "bf16")
_NICE = 10


def write_cached_graph(
    snapshot: Path, folder: Path, precision: str, most_bytes: int, report: Callable[[float], None]
) -> Path:
    """Write the graph of ``snapshot`` below ``folder``, unless it is there, and return its path.

    Graphs used longest ago are dropped for it. Two processes never write the same graph: the second waits for the
    first. What an interrupted process has left is removed.

    Raises:
        CheckpointError: a file is damaged, or there is no room.
        OSError: the folder cannot be written to.
    """
    target = graph_cache.folder_of(snapshot, folder)
    target.mkdir(parents=True, exist_ok=True)
    graph = target / graph_name(precision)
    unfinished = target.with_name(f".{target.name}-{precision}")
    with FileLock(graph_cache.lock_of(unfinished)):
        if graph.is_file():
            return graph
        shutil.rmtree(unfinished, ignore_errors=True)
        stored = checkpoints.open_stored(snapshot)
        graph_cache.make_room(folder, estimated_size(stored.config, precision), most_bytes)
        unfinished.mkdir()
        try:
            written = unfinished / graph.name
            for_processor = replace(PRECISIONS[precision], unsigned=not integers_add_up())
            write_graph(written, stored.config, lambda name: stored.read(name).numpy(), for_processor, report)
            target.mkdir(exist_ok=True)  # it goes with its last graph, which may have made room
            # the data first: a graph is found by its own file
            for file in sorted(unfinished.iterdir(), key=lambda file: file.name == graph.name):
                file.rename(target / file.name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return graph


def estimated_size(config: SantaCoderConfig, precision: str) -> int:
    """Bytes of a graph. Without quantisation, the embedding is in it a second time, as the output layer."""
    n_weights = config.n_parameters + (config.vocab_size * config.n_embd if precision in _UNQUANTISED else 0)
    return int(n_weights * _BYTES_PER_WEIGHT[precision])


def main(arguments: list[str] | None = None) -> int:
    """Run the process. Returns 0 if the graph is there, 1 with a sentence on stderr if it cannot be written."""
    if hasattr(os, "nice"):  # the server, which starts this process, answers meanwhile
        os.nice(_NICE)
    snapshot, folder, precision, most_bytes = sys.argv[1:] if arguments is None else arguments
    try:
        write_cached_graph(
            Path(snapshot), Path(folder), precision, int(most_bytes), lambda share: print(share, flush=True)
        )
    except BrokenPipeError:  # the server has ended
        return 1
    except (CheckpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

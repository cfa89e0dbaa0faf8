"""The models in memory, within a budget of bytes: who uses them, and which are dropped for others."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.memory import give_back
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine

STOPPING = "The server is being stopped; try again in a moment."


class NoRoom(CheckpointError):
    """The models in use leave no memory for another one at the moment."""


@dataclass
class Resident:
    """A model in memory; ``engine`` is None while it is loading, ``users`` is its reference count.

    ``is_replaced`` means that a graph takes its place: it is dropped when its last user leaves.
    """

    name: str
    n_bytes: int
    engine: Engine | None = None
    notices: tuple[str, ...] = ()
    users: int = 0
    used: float = field(default_factory=time.monotonic)
    is_replaced: bool = False


class Residents:
    """Models by the folder of their snapshot, for any thread. When memory is needed, the least recently used model that
    is not in use is dropped first.

    Args:
        budget: bytes for all models.
        memory_needed: the bytes that a snapshot will need.
    """

    def __init__(self, budget: int, memory_needed: Callable[[Path], int]) -> None:
        self.is_draining = False
        """No more models are loaded."""
        self._budget = budget
        self._memory_needed = memory_needed
        self._by_snapshot: OrderedDict[Path, Resident] = OrderedDict()
        self._replaced: list[Resident] = []
        self._changed = threading.Condition()

    def hold(self, snapshot: Path, name: str) -> Resident:
        """The model's entry, with one more user; a caller that finds no engine in it must load the model, and then
        :meth:`keep` or :meth:`forget` it.

        Raises:
            NoRoom: the models in use leave no memory for it, or the server is being stopped.
        """
        dropped: list[Engine] = []
        with self._changed:
            # another thread may be loading it; if that fails, the entry is gone again
            self._changed.wait_for(
                lambda: snapshot not in self._by_snapshot or self._by_snapshot[snapshot].engine is not None
            )
            self._forget_dead(snapshot)
            if snapshot not in self._by_snapshot:
                if self.is_draining:  # since the caller began to wait
                    raise NoRoom(STOPPING)
                n_bytes = self._memory_needed(snapshot)
                dropped = self._make_room(n_bytes)
                self._by_snapshot[snapshot] = Resident(name, n_bytes)
            self._by_snapshot.move_to_end(snapshot)
            self._by_snapshot[snapshot].users += 1
            held = self._by_snapshot[snapshot]
        # an engine stops only after its current step, and the event loop may need the lock meanwhile
        for engine in dropped:
            free(engine)
        return held

    def keep(self, snapshot: Path, resident: Resident, engine: Engine, notices: tuple[str, ...], n_bytes: int) -> None:
        """Add a loaded engine, which takes ``n_bytes``, to its entry.

        Raises:
            NoRoom: the models have been closed meanwhile.
        """
        with self._changed:
            if self._by_snapshot.get(snapshot) is resident:
                resident.engine, resident.notices, resident.n_bytes = engine, notices, n_bytes
                self._changed.notify_all()
                return
        free(engine)
        raise NoRoom(STOPPING)

    def forget(self, snapshot: Path) -> None:
        """Remove the entry of a model that could not be loaded."""
        with self._changed:
            self._by_snapshot.pop(snapshot, None)  # closing may have removed it
            self._changed.notify_all()

    def release(self, snapshot: Path, resident: Resident) -> None:
        """One user less."""
        with self._changed:
            resident.users -= 1
            resident.used = time.monotonic()
            if resident.users or not resident.is_replaced:
                return
            if resident in self._replaced:
                self._replaced.remove(resident)
            elif self._by_snapshot.get(snapshot) is resident:
                del self._by_snapshot[snapshot]
        assert resident.engine is not None
        # not here: the event loop may be releasing it
        threading.Thread(target=free, args=(resident.engine,), daemon=True).start()

    def is_loaded(self, snapshot: Path) -> bool:
        with self._changed:
            resident = self._by_snapshot.get(snapshot)
            return resident is not None and resident.engine is not None

    def engines(self) -> list[tuple[str, Engine]]:
        """The engines in memory, by ``repo@commit``."""
        with self._changed:
            residents = [*self._by_snapshot.values(), *self._replaced]
        return [(resident.name, resident.engine) for resident in residents if resident.engine is not None]

    def fits_later(self, n_bytes: int, will_shrink: Callable[[Path], bool]) -> bool:
        """Whether a model of ``n_bytes`` fits beside the models in use, now or after some have been replaced by their
        graphs. ``will_shrink`` says whether a graph of a snapshot is being written."""
        with self._changed:
            in_use = {key: one for key, one in self._by_snapshot.items() if one.users}
            shrinks = self._replaced or any(one.is_replaced or will_shrink(key) for key, one in in_use.items())
            held = sum(one.n_bytes for one in (*in_use.values(), *self._replaced))
        return n_bytes <= (self._budget if shrinks else self._budget - held)

    def drop_unused(self, engine: Engine) -> None:
        """Drop the model of ``engine`` if it is not in use."""
        with self._changed:
            unused = [key for key, one in self._by_snapshot.items() if one.engine is engine and not one.users]
            for snapshot in unused:
                del self._by_snapshot[snapshot]
        if unused:
            free(engine)

    def take_idle(self, seconds: float) -> list[tuple[str, Engine]]:
        """Remove the models that nobody has used for ``seconds``. Returns their names and engines, to be freed."""
        oldest = time.monotonic() - seconds
        with self._changed:
            idle = {
                snapshot: (one.name, one.engine)
                for snapshot, one in self._by_snapshot.items()
                if one.engine is not None and not one.users and one.used <= oldest
            }
            for snapshot in idle:
                del self._by_snapshot[snapshot]
        return list(idle.values())

    def close(self) -> None:
        """End all engines, and load no more."""
        with self._changed:
            self.is_draining = True
            engines = [engine for _, engine in self.engines()]
            self._by_snapshot.clear()
            self._replaced.clear()
        for engine in engines:
            engine.close()
            engine.runner.close()

    def reserve_for_graph(self, snapshot: Path) -> tuple[Resident, int] | None:
        """Hold the model of ``snapshot``, which PyTorch computes, and memory for its graph beside it. Returns its entry
        and the bytes reserved, or None if the next request for the model will open the graph.

        If there is no room for both, the entry's ``is_replaced`` is set, and nothing is reserved.
        """
        with self._changed:
            old = self._by_snapshot.get(snapshot)
            if old is None or old.engine is None or old.engine.runner.name != "torch":
                return None
            n_bytes = self._memory_needed(snapshot)
            old.users += 1  # so that it is not dropped for the graph
            try:
                dropped = self._make_room(n_bytes)
            except NoRoom:
                old.is_replaced = True  # the graph is opened after it
                n_bytes, dropped = 0, []
            old.n_bytes += n_bytes
        for engine in dropped:
            free(engine)
        return old, n_bytes

    def give_up_graph(self, old: Resident, n_bytes: int, why: str) -> None:
        """Free the ``n_bytes`` reserved for a graph that cannot be used."""
        with self._changed:
            old.n_bytes -= n_bytes
            old.notices = (*old.notices, why)

    def replace(self, snapshot: Path, old: Resident, new: Engine, notices: tuple[str, ...], n_bytes: int) -> bool:
        """Let ``new``, for which ``n_bytes`` were reserved, serve the requests from now on. Returns False if ``old``
        has been dropped meanwhile."""
        with self._changed:
            old.n_bytes -= n_bytes
            old.is_replaced = True
            if self._by_snapshot.get(snapshot) is old:
                self._by_snapshot[snapshot] = Resident(old.name, n_bytes, new, notices)
                self._replaced.append(old)
                return True
        free(new)
        return False

    def _forget_dead(self, snapshot: Path) -> None:
        resident = self._by_snapshot.get(snapshot)
        if resident and resident.engine and not resident.engine.alive:
            del self._by_snapshot[snapshot]  # its users have already received the error

    def _make_room(self, n_bytes: int) -> list[Engine]:
        """Drop unused models until ``n_bytes`` more fit into the budget; returns their engines, to be closed."""
        residents = [*self._by_snapshot.values(), *self._replaced]
        in_use = sum(resident.n_bytes for resident in residents if resident.users)
        if in_use + n_bytes > self._budget:
            raise NoRoom(
                f"The model needs {n_bytes / 1e9:.1f} GB, but of the {self._budget / 1e9:.1f} GB for models "
                f"{in_use / 1e9:.1f} GB are in use; try again later, or start the server with a larger --model-memory."
            )
        dropped: list[Engine] = []
        for snapshot, resident in list(self._by_snapshot.items()):
            held = sum(other.n_bytes for other in (*self._by_snapshot.values(), *self._replaced))
            if held + n_bytes <= self._budget:
                break
            if not resident.users:
                del self._by_snapshot[snapshot]
                assert resident.engine is not None
                dropped.append(resident.engine)
        return dropped


def free(engine: Engine) -> None:
    """Close an engine and return its memory to the system, although finished requests, which wait for the garbage
    collector, may still refer to it."""
    engine.close()
    engine.runner.close()
    give_back()

"""Memory: what a saver knows that outlives its event loop (pure).

What was written and perhaps is not visible yet, epochs, where large values are, how old the
ancestors are that delta channels need, how long Kusto keeps what, what failed with nobody waiting.
"""

from __future__ import annotations

from ._caches import Epochs, LruMap, Manifests, Runs
from ._clock import HybridClock
from ._lineage import Lineages
from ._overlay import Overlay
from ._retention import Retention
from ._rows import CheckpointKey
from ._stats import Stats
from .errors import KustoCheckpointError, LoopLostError, WriteFailedError

_FAILURES_KEPT = 100
_FORKS_TOLD = 10_000
_OWN_RUNS = 8_192  # all that wrote something not visible yet, and then some


class Memory:
    """State shared by all clones of a saver and kept from one event loop to the next."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.clock = HybridClock()
        self.overlay = Overlay()
        self.epochs = Epochs()
        self.dead_runs = Runs()
        self.own_runs = Runs(_OWN_RUNS)
        self.manifests = Manifests()
        self.lineages = Lineages()
        self.retention = Retention()
        self.forks_told: LruMap[CheckpointKey, bool] = LruMap(_FORKS_TOLD)
        self._failures: list[str] = []
        self._failures_dropped = 0
        self._loop_lost = False

    def forget_lineages(self) -> None:
        """Know nothing of the ages of ancestors: every put that needs them asks Kusto again."""
        self.lineages = Lineages()

    def add_failure(self, text: str, *, loop_lost: bool = False) -> None:
        """Keep a failure nobody waits for."""
        self._loop_lost = self._loop_lost or loop_lost
        if len(self._failures) < _FAILURES_KEPT:
            self._failures.append(text)
        else:
            self._failures_dropped += 1

    def take_failures(self) -> KustoCheckpointError | None:
        """Give everything that failed unheard as one error, once."""
        if not self._failures:
            return None
        failures, self._failures = self._failures, []
        dropped, self._failures_dropped = self._failures_dropped, 0
        lost, self._loop_lost = self._loop_lost, False
        shown = "; ".join(failures[:3]) + ("; ..." if len(failures) + dropped > 3 else "")
        count = len(failures) + dropped
        if lost:
            return LoopLostError(
                f"the event loop this saver lived on was closed with {count} writes not"
                f" acknowledged: {shown}; await saver.flush() or leave `async with` before the"
                " loop ends"
            )
        return WriteFailedError(
            f"{count} accepted writes were not written: {shown}; Kusto lacks them, run the thread"
            " again from its last checkpoint",
            failures,
        )

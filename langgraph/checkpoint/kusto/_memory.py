"""Memory: what a saver knows that outlives its event loop (pure).

What was written and perhaps is not visible yet, epochs, where large values are, how old the
ancestors are that delta channels need, how long Kusto keeps what, what failed with nobody waiting.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from sys import getsizeof
from typing import Any

from ._caches import Epochs, Manifests, Runs
from ._clock import HybridClock
from ._frames import Base, KnownBase, base_of
from ._lineage import Lineages
from ._lru import LruMap
from ._overlay import Overlay
from ._requests import PutRequest
from ._retention import YOUNG_TICKS, Retention
from ._rows import CheckpointKey, CheckpointPlan
from ._stats import Stats
from ._tombstones import Deaths
from ._values import BlobRef, Encoded
from .errors import KustoCheckpointError, LoopLostError, WriteFailedError
from .options import SaverOptions

# Their number is bounded by the intake: a call raises what is kept before it adds to the intake.
_FAILURE_BYTES = 16 * 1024 * 1024
_FAILURES_SHOWN = 3
_SHOWN_CHARS = 500  # of each: ids may have 65,536
_FORKS_TOLD_BYTES = 8 * 1024 * 1024
_FRAME_BYTES = 8 * 1024 * 1024  # frames of values that may not change for some steps
_BURIED_BYTES = 8 * 1024 * 1024  # checkpoints that were deleted before they were visible
_OWN_RUNS = 8_192  # all that wrote something not visible yet, and then some
_OWN_RUNS_BYTES = 4 * 1024 * 1024


class Memory:
    """State shared by all clones of a saver and kept from one event loop to the next.

    Args:
        stats: Its counters.
        base_bytes: Bound of the values kept for the next ones to be stored against.
    """

    def __init__(self, stats: Stats, base_bytes: int = SaverOptions.frame_cache_bytes) -> None:
        self.stats = stats
        self.clock = HybridClock()
        self.overlay = Overlay()
        self.epochs = Epochs()
        self.dead_runs = Runs()
        self.own_runs = Runs(_OWN_RUNS, _OWN_RUNS_BYTES)
        self.manifests = Manifests()
        self.base_bytes: LruMap[str, bytes] = LruMap(base_bytes, size_of=len)
        self.frames: LruMap[str, Encoded] = LruMap(
            _FRAME_BYTES, size_of=lambda frame: len(frame.payload) + len(frame.value_type)
        )
        self.lineages = Lineages()
        self.retention = Retention()
        self.forks_told: LruMap[CheckpointKey, bool] = LruMap(_FORKS_TOLD_BYTES)
        self.buried: LruMap[CheckpointKey, bool] = LruMap(_BURIED_BYTES)
        self._failures: list[str] = []
        self._failure_bytes = 0
        self._failures_dropped = 0
        self._loop_lost = False

    def bury(self, thread_id: str, deaths: Deaths) -> None:
        """Take own rows out of the overlay that are dead, and remember which checkpoints they were.

        Until Kusto shows their rows, it knows nothing of them.
        """
        dead = self.overlay.dead(thread_id, deaths)
        for key in self.overlay.checkpoints_of(thread_id, dead):
            self.buried.put(key, True)
        self.overlay.remove(dead)

    def is_buried(self, key: CheckpointKey) -> bool:
        """Whether a checkpoint, of which no living copy is known, was deleted before it was shown.

        One that is still in the overlay, because it is not acknowledged yet, is as dead.
        """
        return key in self.buried or self.overlay.holds(key)

    def forget_lineages(self) -> None:
        """Know nothing of the ages of ancestors: every put that needs them asks Kusto again."""
        self.lineages = Lineages()

    def keep(self, base_bytes: Mapping[str, bytes], frames: Mapping[str, Encoded]) -> None:
        """Keep the bytes of bases, and frames that ride in rows; by the names in `Base`."""
        for name, data in base_bytes.items():
            self.base_bytes.put(name, data)
        for name, frame in frames.items():
            self.frames.put(name, frame)

    def unchanged_frame(
        self, parent: CheckpointKey, channel: str, version: Any, epoch: str | None = ""
    ) -> Encoded | None:
        """The frame that rides in a checkpoint's row, of a channel that did not change since."""
        if not self.manifests.is_same(parent, channel, version, epoch):
            return None
        base = self.manifests.base(parent, channel, epoch)
        return None if base is None else self.frames.get(base.frame)

    def is_lasting(self, ref: BlobRef | None, now: int) -> bool:
        """Whether a stored copy, and all it was stored against, outlives a row written now.

        As long as the retention periods are not known, only a young one does for sure.
        """
        ages = self.retention.ages(now)
        most = YOUNG_TICKS if ages is None else max(YOUNG_TICKS, ages.values)
        return ref is not None and now - self.manifests.stored_at(ref) <= most

    def known_bases(
        self, request: PutRequest, epoch: str, lost: Container[str], now: int
    ) -> dict[str, KnownBase]:
        """What the next values of channels may be stored against, of those whose bytes are here.

        Args:
            request: The put whose values they are.
            epoch: Of its row: in another life, the parent's id may name something else.
            lost: Ids of blobs that were not written.
            now: The present.
        """
        known: dict[str, KnownBase] = {}
        before = self._bases_before(request, epoch)
        for channel in request.values:
            base = before.get(channel)
            data = None if base is None else self.base_bytes.get(base.identity)
            if base is None or data is None:
                continue
            keyframe = None
            if base.ref is not None:
                if any(part.blob_id in lost for part in base.ref.chain()):
                    continue
                if not self.is_lasting(base.ref, now):
                    continue
                if base.ref.base is not None:
                    keyframe = self.base_bytes.get(base.ref.keyframe.blob_id)
            known[channel] = KnownBase(base, data, keyframe)
        return known

    def _bases_before(self, request: PutRequest, epoch: str) -> Mapping[str, Base]:
        """What the values of the parent are to those that follow, by channel."""
        parent = request.key._replace(checkpoint_id=request.parent_checkpoint_id)
        manifest = self.manifests.of(parent, epoch)
        return {} if manifest is None else manifest.bases

    def remember_values(
        self,
        request: PutRequest,
        plan: CheckpointPlan,
        stored: Mapping[str, BlobRef],
        missed: Container[str] = (),
    ) -> None:
        """Remember where the values are, and what the next ones may be stored against.

        Args:
            request: The put.
            plan: What it sends.
            stored: Where those values are that went to blobs.
            missed: Channels whose value is nothing like the one before.
        """
        key, epoch = request.key, plan.row.epoch
        known = self._bases_before(request, epoch)
        bases: dict[str, Base] = {}
        for channel in request.reused:
            base = known.get(channel)
            if base is not None:
                bases[channel] = replace(base, frame="")
        for channel, (value_type, data) in request.values.items():
            part = stored.get(channel) or plan.riding[channel]
            base = base_of(part, value_type, data, f"{plan.row.submission_id} {channel}")
            if base is not None:
                before = known.get(channel)
                if before is not None and before.skips:
                    base = base.skipped(before)
                elif channel in missed:
                    base = base.missed(before)
                bases[channel] = base
                if part is base.ref or base.ref is None:
                    self.base_bytes.put(base.identity, data)
        for channel in request.riding:
            base = known.get(channel)
            if base is not None:
                rides = plan.riding.get(channel)
                name = f"{plan.row.submission_id} {channel}" if rides else ""
                spent = rides.spent if rides else base.spent
                bases[channel] = replace(base, spent=spent, frame=name)
        needed = {name for base in bases.values() for name in base.names()}
        for channel in request.values.keys() & known.keys():
            for name in known[channel].names():
                if name not in needed:  # a sibling of this checkpoint would be stored whole
                    self.base_bytes.pop(name)
        riding = {channel: base.frame for channel, base in bases.items() if base.frame}
        self.keep({}, {name: plan.riding[channel] for channel, name in riding.items()})
        blobs = {**request.reused, **stored}
        self.manifests.remember(key, blobs, request.versions, bases, epoch)

    def add_failure(self, text: str, *, loop_lost: bool = False) -> None:
        """Keep a failure nobody waits for, which was logged; only its text is bounded here."""
        self._loop_lost = self._loop_lost or loop_lost
        size = getsizeof(text)
        if self._failures and self._failure_bytes + size > _FAILURE_BYTES:
            self._failures_dropped += 1
            return
        self._failures.append(text)
        self._failure_bytes += size

    def take_failures(self) -> KustoCheckpointError | None:
        """Give everything that failed unheard as one error, once."""
        if not self._failures:
            return None
        failures, self._failures = self._failures, []
        dropped, self._failures_dropped = self._failures_dropped, 0
        lost, self._loop_lost = self._loop_lost, False
        self._failure_bytes = 0
        count = len(failures) + dropped
        shown = "; ".join(map(_shortened, failures[:_FAILURES_SHOWN]))
        if count > _FAILURES_SHOWN:
            shown += "; ..."
        if dropped:
            failures.append(f"and {dropped} more, which the log names")
        if lost:
            return LoopLostError(
                f"the event loop this saver lived on was closed with {count} writes not"
                f" acknowledged: {shown}; await saver.flush() or leave `async with` before the"
                " loop ends",
                failures,
            )
        return WriteFailedError(
            f"{count} accepted writes were not written: {shown}; Kusto lacks them, run the thread"
            " again from its last checkpoint",
            failures,
        )


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."

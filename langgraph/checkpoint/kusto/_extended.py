"""What LangGraph asks of a saver beyond the five base methods, async and sync: deleting runs and
checkpoints, copying, pruning, the history of delta channels; and looking for forks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import DeltaChannelHistory

from ._assembly import RawCheckpoint
from ._codec import deserialize, deserialize_dict
from ._columns import kql_columns
from ._config import Place, check_text, read_place
from ._conversion import metadata_of
from ._copying import Described, copy_thread
from ._core import Core
from ._deleting import delete_checkpoint, delete_runs
from ._delta_channel import delta_counters
from ._forks import Fork, find_forks
from ._history import RawHistory, read_history
from ._pruning import (
    ThreadPrune,
    check_strategy,
    prune_thread,
    warn_of_broken_histories,
)
from ._reader import read_checkpoint
from ._saver import KustoSaverBase
from .errors import InvalidConfigError

if TYPE_CHECKING:
    from ._rows import CheckpointKey

T = TypeVar("T")


class ExtendedKustoSaverBase(KustoSaverBase):
    """The extended methods, on top of the base ones."""

    # -- async -----------------------------------------------------------------------------------

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete what some runs wrote, in all threads, and what they may still write there.

        A thread that a run had not written to when this was called is not known to be its thread:
        what the run puts there later lives. Threads are done one by one; after an error some may be
        deleted, and deleting again is harmless. A living checkpoint whose delta channels need an
        ancestor that goes is named in a warning of the log; reading its history raises from then
        on.

        Raises:
            InvalidConfigError: `run_ids` is one text, or holds something that is no run id.
            WriteFailedError: Something accepted earlier was not written; nothing was deleted.
            ServiceError: Kusto did not answer.
        """
        with self._counted("deletes", "delete_for_runs", None):
            await self._home.run(self._deleting_runs(run_ids))

    async def adelete_checkpoint(self, config: RunnableConfig) -> bool:
        """Delete one checkpoint with its pending writes; tell whether there was one.

        Its children stay, with a parent that is not there. Putting the same id again later makes a
        new checkpoint.

        Raises:
            InvalidConfigError: The config names no checkpoint.
            ServiceError: Kusto did not answer.
        """
        place = read_place(config)
        with self._counted("deletes", "delete_checkpoint", place):
            return await self._home.run(self._deleting_checkpoint(place))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy every checkpoint of a thread with its pending writes, in all namespaces.

        Ids stay the same, values are copied, not referred to. What the target has already stays;
        of a checkpoint both have, the copy counts. The target may have been deleted before. After
        an error the target may hold a part, the oldest checkpoints first: delete it, or copy again.

        Raises:
            InvalidConfigError: Source and target are the same.
            IncompleteCheckpointError: A checkpoint of the source is not whole yet.
            PartsLostError: Parts of a checkpoint of the source are gone.
            ServiceError: Kusto did not answer.
        """
        source, target = _two_places(source_thread_id, target_thread_id)
        with self._counted("copies", "copy_thread", source):
            await self._home.run(
                lambda core: copy_thread(core, source.thread_id, target.thread_id, self._describe)
            )

    # The base gives None; a report breaks no caller.
    async def aprune(  # type: ignore[override]  # ty: ignore[incompatible-method-override]
        self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", dry_run: bool = False
    ) -> list[ThreadPrune]:
        """Prune threads, and say what was deleted in each.

        `"keep_latest"` keeps the newest checkpoint of each namespace with its pending writes, and
        every ancestor its delta channels need; `"delete"` deletes the threads. Another saver sees
        all of the prune of a thread or nothing of it. What is put meanwhile stays.

        Args:
            thread_ids: The threads; one that does not exist is left alone.
            strategy: `"keep_latest"` or `"delete"`.
            dry_run: Only say what would be deleted.

        Raises:
            InvalidOptionError: There is no such strategy.
            ServiceError: Kusto did not answer; some of the threads may be pruned.
        """
        work = self._pruning(thread_ids, strategy, dry_run)
        with self._counted("prunes", "prune", None):
            return await self._home.run(work)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read what delta channels are rebuilt from: the nearest value, and the writes since.

        Follows parents, so only ancestors count. At most three requests for each 16 channels,
        however long the chain; more where the writes pass what one result may hold, or an ancestor
        is gone.

        Raises:
            IncompleteCheckpointError: An ancestor is not visible within `visibility_timeout`.
            PartsLostError: An ancestor that is needed was deleted, or has expired.
            ServiceError: Kusto did not answer.
        """
        if not channels:
            return {}
        place = read_place(config)
        with self._counted("histories", "get_delta_channel_history", place):
            raw = await self._home.run(self._reading_history(place, channels))
            return self._histories(place, raw)

    async def afind_forks(self, config: RunnableConfig) -> list[Fork]:
        """Find checkpoints of one parent that two writers put without knowing of each other.

        Each is logged, too. No namespace in the config means all of them.
        """
        place = read_place(config)
        with self._counted("lists", "find_forks", place):
            return await self._home.run(
                lambda core: find_forks(core, place.thread_id, place.checkpoint_ns)
            )

    # -- sync ------------------------------------------------------------------------------------

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete what some runs wrote; see `adelete_for_runs`."""
        with self._counted("deletes", "delete_for_runs", None):
            self._home.run_sync(self._deleting_runs(run_ids), "adelete_for_runs")

    def delete_checkpoint(self, config: RunnableConfig) -> bool:
        """Delete one checkpoint; see `adelete_checkpoint`."""
        place = read_place(config)
        with self._counted("deletes", "delete_checkpoint", place):
            return self._home.run_sync(self._deleting_checkpoint(place), "adelete_checkpoint")

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread; see `acopy_thread`."""
        source, target = _two_places(source_thread_id, target_thread_id)
        with self._counted("copies", "copy_thread", source):
            self._home.run_sync(
                lambda core: copy_thread(core, source.thread_id, target.thread_id, self._describe),
                "acopy_thread",
            )

    # The base gives None; a report breaks no caller.
    def prune(  # type: ignore[override]  # ty: ignore[incompatible-method-override]
        self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", dry_run: bool = False
    ) -> list[ThreadPrune]:
        """Prune threads; see `aprune`."""
        work = self._pruning(thread_ids, strategy, dry_run)
        with self._counted("prunes", "prune", None):
            return self._home.run_sync(work, "aprune")

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read what delta channels are rebuilt from; see `aget_delta_channel_history`."""
        if not channels:
            return {}
        place = read_place(config)
        with self._counted("histories", "get_delta_channel_history", place):
            raw = self._home.run_sync(
                self._reading_history(place, channels), "aget_delta_channel_history"
            )
            return self._histories(place, raw)

    def find_forks(self, config: RunnableConfig) -> list[Fork]:
        """Find forks; see `afind_forks`."""
        place = read_place(config)
        with self._counted("lists", "find_forks", place):
            return self._home.run_sync(
                lambda core: find_forks(core, place.thread_id, place.checkpoint_ns), "afind_forks"
            )

    # -- both ------------------------------------------------------------------------------------

    def _deleting_runs(self, run_ids: Sequence[str]) -> Callable[[Core], Awaitable[None]]:
        wanted = _texts("run_ids", run_ids)

        async def work(core: Core) -> None:
            for thread_id in await delete_runs(core, wanted):
                await warn_of_broken_histories(core, thread_id, self._delta)

        return work

    def _deleting_checkpoint(self, place: Place) -> Callable[[Core], Awaitable[bool]]:
        if not place.checkpoint_id:
            raise InvalidConfigError(
                "delete_checkpoint needs config['configurable']['checkpoint_id']; delete_thread"
                " deletes a whole thread"
            )
        key = place.key(place.checkpoint_id)
        return lambda core: delete_checkpoint(core, key)

    def _pruning(
        self, thread_ids: Sequence[str], strategy: str, dry_run: bool
    ) -> Callable[[Core], Awaitable[list[ThreadPrune]]]:
        wanted = _texts("thread_ids", thread_ids)
        check_strategy(strategy)

        async def work(core: Core) -> list[ThreadPrune]:
            return [
                await prune_thread(core, thread_id, strategy, self._delta, dry_run=dry_run)
                for thread_id in wanted
            ]

        return work

    def _reading_history(
        self, place: Place, channels: Sequence[str]
    ) -> Callable[[Core], Awaitable[dict[str, RawHistory]]]:
        wanted = list(dict.fromkeys(check_text("channel", channel) for channel in channels))

        async def work(core: Core) -> dict[str, RawHistory]:
            key: CheckpointKey | None = None
            if place.checkpoint_id:
                key = place.key(place.checkpoint_id)
            else:
                newest = await read_checkpoint(core, place.thread_id, place.namespace, None)
                key = None if newest is None else newest.key
            if key is None:
                return {channel: RawHistory(None, []) for channel in wanted}
            # The search for the newest was a request, so the chain has to come in one.
            whole = not place.checkpoint_id
            return await read_history(core, key, wanted, self._versions, whole)

        return work

    def _delta(self, raw: RawCheckpoint) -> tuple[Collection[str], Collection[str]]:
        counters = delta_counters(metadata_of(self.serde, raw.key, raw.metadata))
        return counters, self._versions(raw)

    def _describe(self, raw: RawCheckpoint) -> Described:
        versions = self._versions(raw)
        metadata = metadata_of(self.serde, raw.key, raw.metadata)
        return versions, kql_columns(cast(Mapping[str, Any], metadata), versions)

    def _versions(self, raw: RawCheckpoint) -> Mapping[str, Any]:
        where = f"the body of checkpoint {raw.key.checkpoint_id!r} of thread {raw.key.thread_id!r}"
        body = deserialize_dict(self.serde, raw.checkpoint, where)
        versions: Mapping[str, Any] = body.get("channel_versions") or {}
        return versions

    def _histories(
        self, place: Place, raw: Mapping[str, RawHistory]
    ) -> dict[str, DeltaChannelHistory]:
        found: dict[str, DeltaChannelHistory] = {}
        for channel, history in raw.items():
            where = f"channel {channel!r} of an ancestor, thread {place.thread_id!r}"
            entry: DeltaChannelHistory = {
                "writes": [
                    (write.task_id, write.channel, deserialize(self.serde, write.value, where))
                    for write in history.writes
                ]
            }
            if history.seed is not None:
                entry["seed"] = deserialize(self.serde, history.seed, where)
            found[channel] = entry
        return found


def _two_places(source: str, target: str) -> tuple[Place, Place]:
    places = [read_place({"configurable": {"thread_id": item}}) for item in (source, target)]
    if places[0] == places[1]:
        raise InvalidConfigError(
            f"source and target are the same thread {places[0].thread_id!r}; give another target"
        )
    return places[0], places[1]


def _texts(name: str, values: Iterable[Any]) -> list[str]:
    """Read ids, coerced to text; one text is not several."""
    if isinstance(values, str | bytes):
        raise InvalidConfigError(f"{name} must be a list of ids, not one {type(values).__name__}")
    found = ["" if value is None else str(value) for value in values]
    if not all(found):
        raise InvalidConfigError(f"an id in {name} must not be empty")
    return list(dict.fromkeys(check_text(name, item) for item in found))

"""Trial: one sequence of steps on real savers and on the reference, compared after each step.

What may differ, and how the comparison deals with it: Kusto shows rows late, each table as it
likes, so a saver may not see yet what another one wrote. A saver must see its own at once; so the
saver that took a step is compared at once, nothing else having been shown. Before another saver
takes a step, everything accepted is flushed and the server's clock is set forward until all is
visible; from then on it must agree, too. `Peek` looks before that, and may find anything that was
there, but no value that was never put, and nothing in part. And one read of a saver's own may ask
to be repeated: of the newest checkpoint, when the view shows one as the newest that is dead, and
the table does not show its row yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from shared.savers import SyncMethodsSaver
from shared.threads import config_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto.local import LocalKusto

from . import operations as op
from .comparing import Difference, exact, same, shown_by
from .conditions import WrongClock, small_pages
from .reference import BrokenHistoryError, Copy, Key, Range, Reference
from .ways import VISIBILITY_SECONDS, Way

SECONDS_PER_DAY = 86_400


class Trial:
    """The savers, the reference, and what steps need to find their checkpoint."""

    def __init__(self, world: op.World, local: LocalKusto, way: Way) -> None:
        self.world = world
        self.local = local
        self.way = way
        self.reference = Reference()
        self.savers: list[Any] = [None] * op.SAVERS
        self.actor: int | None = None
        self.planned: dict[tuple[str, str], str] = {}
        self.number = 0
        self.peeker: Any = None
        self.taken = 0
        self.settled_at = 0
        self.last_written: tuple[str, str, str] | None = None

    async def run(self, steps: Sequence[op.Step]) -> None:
        """Take the steps.

        Raises:
            Difference: A saver showed something else than the reference; it names the step.
        """
        with small_pages(wanted=self.world.small_pages):
            try:
                for index, step in enumerate(steps):
                    try:
                        await self._take(step)
                    except Exception as error:
                        where = f"at step {index}, {step}"
                        raise Difference(f"{where}: {type(error).__name__}: {error}") from error
                    self.taken += 1
                for index in range(op.SAVERS):
                    await self._turn(index)
                    await self._compare(index, whole=True)
            finally:
                await self._close()

    async def _take(self, step: op.Step) -> None:
        self.number += 1
        if self.world.narrow:
            step = op.narrowed(step)
        step = self._where_something_is(step)
        if isinstance(step, op.Peek):
            await self._peek()
            return
        await self._turn(step.saver)
        await _ACTIONS[type(step)](self, step)
        await self._compare(step.saver)

    # -- savers ----------------------------------------------------------------------------------

    def _make(self, index: int) -> Any:
        patience = 0.3 if self.world.delayed else 3.0
        options: dict[str, Any] = {
            "ingestion": self.way.ingestion,
            "retry_backoff": 0.001,
            "visibility_timeout": patience,
        }
        if self.world.buffered[index]:
            options |= {"write_mode": "buffered", "flush_interval": 3600.0}
        place = (self.local.url, self.local.database)
        if self.world.kinds[index] == "sync":
            saver: Any = KustoSaver(*place, **options)
        else:
            saver = AsyncKustoSaver(*place, **options)
        saver._memory.clock = WrongClock(self.world.minutes[index])
        return SyncMethodsSaver(saver) if isinstance(saver, KustoSaver) else saver

    async def _turn(self, index: int) -> None:
        """Let a saver take its turn; what others wrote must be visible to it."""
        same = self.actor == index
        if not same:
            await self._settle()
        self.actor = index
        if self.savers[index] is None:
            self.savers[index] = self._make(index)
        if not same and any(self.world.minutes):
            # What a saver has seen, it follows, whatever its clock says.
            await self._compare(index)

    async def _settle(self) -> None:
        """Make everything visible."""
        if self.actor is not None and self.savers[self.actor] is not None:
            await _flush(self.savers[self.actor])
        await self.way.settle()
        if self.world.delayed and not self.way.is_queued:
            self.local.advance((VISIBILITY_SECONDS + 1) / SECONDS_PER_DAY)
        self.settled_at = self.reference.now

    async def _close(self) -> None:
        for saver in (*self.savers, self.peeker):
            if saver is not None:
                await saver.aclose()

    # -- which checkpoint ------------------------------------------------------------------------

    def _thread(self, index: int) -> str:
        return self.world.threads[index]

    def _where_something_is(self, step: op.Step) -> op.Step:
        """What is about a checkpoint goes where one was put last if the step's place is bare."""
        copies = self.reference.copies
        if not isinstance(step, op.PutWrites | op.Get | op.History | op.DeleteCheckpoint):
            return step
        place = (self._thread(step.thread), step.namespace)
        if not copies or any(copy.key[:2] == place for copy in copies):
            return step
        thread, namespace, _ = copies[-1].key
        return replace(step, thread=self.world.threads.index(thread), namespace=namespace)

    def _choose(self, thread: str, namespace: str, of: str, pick: int) -> str | None:
        """The id of a checkpoint that is or was there."""
        if of == "missing":
            return f"missing {pick}"
        reference = self.reference
        newest = reference.newest(thread, namespace)
        living = reference.living(thread)
        copies = [copy for copy in reference.copies if copy.key[:2] == (thread, namespace)]
        if of == "living":
            copies = [copy for copy in copies if copy.key in living]
        elif of == "dead":
            copies = [copy for copy in copies if copy.key not in living]
        elif of == "killed":
            copies = [copy for copy in copies if copy.epoch in reference.dead_epochs]
        ids = list(dict.fromkeys(copy.key.id for copy in copies))
        if of != "newest" and ids:
            return ids[pick % len(ids)]
        return None if newest is None else newest.key.id

    def _last_copy(self, key: Key) -> Copy | None:
        found = self.reference.living(key.thread).get(key)
        if found is not None:
            return found
        return next((copy for copy in reversed(self.reference.copies) if copy.key == key), None)

    def _new_id(self, step: op.Put, thread: str) -> str:
        if step.name == "planned":
            found = self.planned.pop((thread, step.namespace), None)
        elif step.name in ("again", "dead", "killed"):
            of = "ever" if step.name == "again" else step.name
            found = self._choose(thread, step.namespace, of, step.pick)
        elif step.name == "hostile":
            found = op.HOSTILE[step.pick % len(op.HOSTILE)]
        else:
            found = None
        return found or f"{self.number:06}-{op.HOSTILE[step.pick % len(op.HOSTILE)]}"

    def _around(self, thread: str, namespace: str) -> dict[str, str]:
        """The checkpoints of the enclosing graphs, as LangGraph's `checkpoint_map`."""
        parts = namespace.split("|")
        outer = [""] + ["|".join(parts[:end]) for end in range(1, len(parts))] if namespace else []
        found = {name: self._choose(thread, name, "newest", 0) for name in outer}
        return {name: checkpoint_id for name, checkpoint_id in found.items() if checkpoint_id}

    # -- steps -----------------------------------------------------------------------------------

    async def _put(self, step: op.Put) -> None:
        thread, namespace = self._thread(step.thread), step.namespace
        parent = None
        if step.parent != "none":
            parent = self._choose(thread, namespace, step.parent, step.pick)
        key = Key(thread, namespace, self._new_id(step, thread))
        around = {} if parent is not None else self._around(thread, namespace)
        before = None if parent is None else self._last_copy(key._replace(id=parent))
        values = {} if before is None else dict(before.values)
        versions = {} if before is None else dict(before.body["channel_versions"])
        for name in op.DELTA_CHANNELS:
            values.pop(name, None)
        metadata = op.metadata_of(self.number, step.run)
        changed = {
            name: op.value_of(kind, self.number * 10 + i)
            for i, (name, kind) in enumerate(step.change)
        }
        if step.delta:
            names = op.DELTA_CHANNELS if step.delta == "two" else op.DELTA_CHANNELS[:1]
            metadata["counters_since_delta_snapshot"] = {name: [1, self.number] for name in names}
            if step.delta != "counted":
                changed[names[-1]] = op.value_of("snapshot", self.number)
        new_versions = {name: f"{self.number:032}.{i}" for i, name in enumerate(changed)}
        values |= changed
        versions |= new_versions
        body = {
            "v": 4,
            "id": key.id,
            "ts": f"2026-01-01T00:00:00.{self.number:06}+00:00",
            "channel_versions": versions,
            "versions_seen": {"node": {name: versions[name] for name in changed}},
            "updated_channels": sorted(changed) if step.pick % 2 else None,
        }
        config = config_of(thread, namespace, parent)
        if around:
            config["configurable"]["checkpoint_map"] = around
        stored = await self.savers[step.saver].aput(
            config, {**body, "channel_values": values}, metadata, new_versions
        )
        same("the config of a put", stored, config_of(*key))
        self.reference.put(str(step.saver), key, parent, around, step.run, body, values, metadata)

    async def _put_writes(self, step: op.PutWrites) -> None:
        thread, namespace = self._thread(step.thread), step.namespace
        if step.of == "planned":
            planned = f"{self.number + step.pick % 3:06}-planned"
            found: str | None = self.planned.setdefault((thread, namespace), planned)
        else:
            found = self._choose(thread, namespace, step.of, step.pick)
        if step.of == "last" and self.last_written is not None:
            thread, namespace, found = self.last_written
        if found is None:
            return
        if any(self.world.minutes) and Key(thread, namespace, found) not in self.reference.living():
            # Nobody can see these writes, so wrong clocks alone say which call came first.
            return
        self.last_written = (thread, namespace, found)
        writes = [
            (channel, op.value_of(kind, self.number * 10 + i))
            for i, (channel, kind) in enumerate(step.writes)
        ]
        config = config_of(thread, namespace, found)
        if step.run:
            config["metadata"] = {"run_id": step.run}
        key = Key(thread, namespace, found)
        await self.savers[step.saver].aput_writes(config, deque(writes), step.task, step.path)
        self.reference.put_writes(str(step.saver), key, step.run, writes, step.task, step.path)

    async def _get(self, step: op.Get) -> None:
        thread, namespace = self._thread(step.thread), step.namespace
        checkpoint_id = self._choose(thread, namespace, step.of, step.pick)
        await self._compare_one(step.saver, thread, namespace, checkpoint_id)

    async def _list(self, step: op.List) -> None:
        thread = self._thread(step.thread)
        namespace = step.namespace if step.reach in ("namespace", "id") else None
        checkpoint_id = None
        if step.reach == "id":
            checkpoint_id = self._choose(thread, step.namespace, "ever", step.pick)
        before = None
        if step.before == "living":
            before = self._choose(thread, step.namespace, "living", step.pick)
        elif step.before == "text":
            before = op.HOSTILE[step.pick % len(op.HOSTILE)]
        everywhere = step.reach == "all"
        scope = Range(
            thread=None if everywhere else thread,
            namespace=namespace,
            id=checkpoint_id,
            filter=op.filter_of(step.filter),
            before=before,
            limit=step.limit,
        )
        config = None if everywhere else config_of(thread, namespace, checkpoint_id)
        found = []
        async for item in self.savers[step.saver].alist(
            config,
            filter=op.filter_of(step.filter),
            before=None if before is None else config_of("x", "", before),
            limit=step.limit,
        ):
            found.append(shown_by(item))
            if len(found) == step.taken:
                break
        same(f"the list {scope}", found, self.reference.list(scope)[: step.taken])

    async def _history(self, step: op.History) -> None:
        thread, namespace = self._thread(step.thread), step.namespace
        found = self._choose(thread, namespace, step.of, step.pick)
        target = None if found is None else Key(thread, namespace, found)
        channels = [*op.DELTA_CHANNELS, "a"]
        config = config_of(thread, namespace, found)
        saver = self.savers[step.saver]
        try:
            wanted = self.reference.history(target, channels)
        except BrokenHistoryError as broken:
            # What never was in this thread (a copy lacks what its source had lost) may still come.
            raised: tuple[type[Exception], ...] = (errors.PartsLostError,)
            if not broken.deleted:
                raised = (errors.PartsLostError, errors.IncompleteCheckpointError)
            try:
                await saver.aget_delta_channel_history(config=config, channels=channels)
            except raised:
                return
            raise Difference("a history without an ancestor that it needs") from None
        history = await saver.aget_delta_channel_history(config=config, channels=channels)
        shown = {
            channel: (
                [tuple(write) for write in entry["writes"]],
                [entry["seed"]] if "seed" in entry else [],
            )
            for channel, entry in history.items()
        }
        same(f"the history of {target}", shown, wanted)

    async def _delete_thread(self, step: op.DeleteThread) -> None:
        thread = self._thread(step.thread)
        await self.savers[step.saver].adelete_thread(thread)
        self.reference.delete_thread(thread)

    async def _delete_runs(self, step: op.DeleteRuns) -> None:
        await self.savers[step.saver].adelete_for_runs(list(step.runs))
        self.reference.delete_runs(step.runs)

    async def _delete_checkpoint(self, step: op.DeleteCheckpoint) -> None:
        thread, namespace = self._thread(step.thread), step.namespace
        found = self._choose(thread, namespace, step.of, step.pick)
        if found is None:
            return
        told = await self.savers[step.saver].adelete_checkpoint(config_of(thread, namespace, found))
        lived = self.reference.delete_checkpoint(Key(thread, namespace, found))
        same("what delete_checkpoint tells", told, lived)

    async def _copy_thread(self, step: op.CopyThread) -> None:
        if step.thread == step.target:
            return
        source, target = self._thread(step.thread), self._thread(step.target)
        await self.savers[step.saver].acopy_thread(source, target)
        self.reference.copy_thread(str(step.saver), source, target)

    async def _prune(self, step: op.Prune) -> None:
        threads = self.world.threads if step.all_threads else (self._thread(step.thread),)
        told = await self.savers[step.saver].aprune(
            list(threads), strategy=step.strategy, dry_run=step.dry_run
        )
        wanted = [
            self.reference.prune(thread, step.strategy, dry_run=step.dry_run) for thread in threads
        ]
        found = [(item.thread_id, item.kept, item.deleted) for item in told]
        same("what prune tells", found, wanted)

    async def _restart(self, step: op.Restart) -> None:
        await self.savers[step.saver].aclose()
        self.savers[step.saver] = None
        self.reference.forget(str(step.saver))
        await self._settle()
        await self._turn(step.saver)

    async def _peek(self) -> None:
        """Look before everything is visible: only whole checkpoints, with values that were put."""
        if self.peeker is None:
            self.peeker = AsyncKustoSaver(
                self.local.url, self.local.database, retry_backoff=0.001, visibility_timeout=0.0
            )
        put = {}
        for copy in self.reference.copies:
            content = exact((copy.parent, copy.body, copy.values, copy.metadata))
            put.setdefault(copy.key, []).append(content)
        last: tuple[str, ...] | None = None
        async for item in self.peeker.alist(None):
            shown = shown_by(item)
            content = exact((shown.parent, shown.body, shown.values, shown.metadata))
            if content not in put.get(shown.key, ()):
                raise Difference(f"{shown.key} was never put like that: {content}")
            if last is not None and last < (shown.key.id,):
                raise Difference(f"{shown.key} comes after {last}")
            last = (shown.key.id,)

    # -- comparing -------------------------------------------------------------------------------

    async def _compare(self, index: int, *, whole: bool = False) -> None:
        """Compare the full list, and checkpoints alone: some after a step, `whole` all of them."""
        saver = self.savers[index]
        found = [shown_by(item) async for item in saver.alist(None)]
        same("the list of everything", found, self.reference.list(Range()))
        self.reference.looked(str(index))
        last = {copy.key[:2]: copy.key.id for copy in self.reference.copies}
        if not last:
            return
        places = list(last) if whole else [list(last)[-1], list(last)[self.number % len(last)]]
        for number, place in enumerate(dict.fromkeys(places)):
            await self._compare_one(index, *place, None)
            if whole or (number + self.number) % 3 == 0:
                await self._compare_one(index, *place, last[place])

    async def _compare_one(
        self, index: int, thread: str, namespace: str, checkpoint_id: str | None
    ) -> None:
        config: RunnableConfig = config_of(thread, namespace, checkpoint_id)
        try:
            found = await self.savers[index].aget_tuple(config)
        except errors.IncompleteCheckpointError:
            if checkpoint_id is not None or not self._dead_may_be_seen(thread, namespace):
                raise
            await self._settle()
            found = await self.savers[index].aget_tuple(config)
        wanted = self.reference.get(thread, namespace, checkpoint_id)
        what = f"checkpoint {checkpoint_id!r} of {(thread, namespace)}"
        same(what, None if found is None else shown_by(found), wanted)
        if wanted is not None:
            self.reference.saw(str(index), wanted.key)

    def _dead_may_be_seen(self, thread: str, namespace: str) -> bool:
        """Whether the view may show an id as the newest that is dead, and its row not yet."""
        newest = self.reference.newest(thread, namespace)
        return self.world.delayed and any(
            copy.at > self.settled_at
            and copy.key[:2] == (thread, namespace)
            and (newest is None or copy.key.id > newest.key.id)
            for copy in self.reference.copies
        )


async def _flush(saver: Any) -> None:
    await (saver.flush() if isinstance(saver, SyncMethodsSaver) else saver.aflush())


_ACTIONS: dict[type[op.Step], Callable[[Trial, Any], Awaitable[None]]] = {
    op.Put: Trial._put,
    op.PutWrites: Trial._put_writes,
    op.Get: Trial._get,
    op.List: Trial._list,
    op.History: Trial._history,
    op.DeleteThread: Trial._delete_thread,
    op.DeleteRuns: Trial._delete_runs,
    op.DeleteCheckpoint: Trial._delete_checkpoint,
    op.CopyThread: Trial._copy_thread,
    op.Prune: Trial._prune,
    op.Restart: Trial._restart,
}

"""Core: what all clones of one saver share, and how rows get from a call to an acknowledgement.

Rules:
- Bytes only: serializing and deserializing is the caller's business, so clones may differ in serde.
- `Memory` survives a change of event loop; `Core` lives on one loop and owns the connection.
- Blobs are acknowledged before the row that refers to them is sent: the row is the commit record.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

from . import _kql
from ._clock import TICKS_PER_DAY, ticks_from_unix_ns
from ._commits import Commits
from ._lru import LruMap
from ._memory import Memory
from ._pending_writes import PendingWrite, WriteSubmission
from ._queries import Queries
from ._requests import PutRequest, WritesRequest
from ._retry import RetryPolicy, run
from ._rows import CheckpointKey, CheckpointParts, CheckpointPlan, all_of_chains, plan_checkpoint
from ._schema import BLOBS, CHECKPOINTS, TOMBSTONES, WRITES
from ._sent_again import sent_again
from ._shared_reads import Question
from ._threads import run_in_thread
from ._tombstones import Deaths, Tombstone, tombstones_from_rows
from ._transport import Table, Transport, understood
from ._values import OFF_LOOP_BYTES, BlobRef, Line, encode_value
from ._visibility import Visibility
from ._writer import Writer
from .errors import SaverClosedError, WriteFailedError
from .options import SaverOptions

logger = logging.getLogger(__name__)

_LOST_BLOBS_BYTES = 4 * 1024 * 1024  # more than ten thousand ids of ours
_EXPIRED_AFTER_TICKS = TICKS_PER_DAY  # far less than any retention, far more than any delay


def now_ticks() -> int:
    """The present."""
    return ticks_from_unix_ns(time.time_ns())


class Core:
    """The writing half and the connection, on one event loop."""

    def __init__(self, transport: Transport, options: SaverOptions, memory: Memory) -> None:
        self.transport = transport
        self.options = options
        self.memory = memory
        self.stats = memory.stats
        self._queries = Queries(transport, options, self.stats)
        self._writer = Writer(transport.ingest, options, self.stats)
        self._commits = Commits(self._writer, memory, options, self.query)
        self._visibility = (
            Visibility(self.query, self._commits, memory, options.queued_timeout, now_ticks)
            if options.ingestion == "queued"
            else None
        )
        self._blob_answers: dict[str, asyncio.Future[None]] = {}
        self._lost_blobs: LruMap[str, bool] = LruMap(_LOST_BLOBS_BYTES)
        self._opening = asyncio.Lock()
        self.reading_policies = asyncio.Lock()
        """Held by who asks how long Kusto keeps what; the others wait for that answer."""
        self._opened = False
        self._closed = False
        self._policy = RetryPolicy.of(options)

    def __repr__(self) -> str:
        return (
            f"<Core {self._writer!r} {self._queries!r} {self._commits!r} {self.memory.overlay!r}>"
        )

    async def open(self) -> None:
        """Open the transport, once."""
        if self._opened:
            return
        async with self._opening:
            if not self._opened:
                await run(
                    self.transport.open, self._policy, what="connecting", count=self.stats.add
                )
                self._opened = True
                if self._closed:  # meanwhile, when there was nothing to close yet
                    await self.transport.aclose()
                    raise SaverClosedError

    # -- queries ---------------------------------------------------------------------------------

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        """Run a query, retrying what is transient; `text` is one of `_kql`."""
        return await self._queries.query(text, parameters)

    async def read_latest(self, question: Question) -> list[Table]:
        """Read the newest checkpoint of a namespace; reads that wait for a slot share requests."""
        return await self._queries.read_latest(question)

    async def command(self, text: str) -> Table:
        """Run a management command, retrying what is transient; ours may all run twice."""
        return await self._queries.command(text)

    def observe(self, written_at: int) -> None:
        """Follow a time that was read."""
        if not self.memory.clock.observe(written_at, now_ticks()):
            logger.warning("a row was written more than a day in the future; check that clock")

    # -- put -------------------------------------------------------------------------------------

    async def put(self, request: PutRequest) -> None:
        """Store a checkpoint; on return it is acknowledged, or accepted in `buffered` mode."""
        self.raise_failures()
        written_at = self.memory.clock.issue(now_ticks())
        epoch = request.epoch or await self._epoch_for_put(request)
        if request.reused_of not in ("", epoch):
            raise WriteFailedError(
                f"checkpoint {request.key.checkpoint_id} refers to values of its parent, and the"
                f" thread {request.key.thread_id!r} was replaced meanwhile; put it again"
            )
        known = self.memory.known_bases(request, epoch, self._lost_blobs, now_ticks())
        if request.size_bytes + sum(item.size_bytes for item in known.values()) > OFF_LOOP_BYTES:
            encoded = await run_in_thread(request.encode, known)
        else:
            encoded = request.encode(known)
        self._count_dead(request, epoch)
        parts = CheckpointParts(
            key=request.key,
            parent_checkpoint_id=request.parent_checkpoint_id,
            epoch=epoch,
            run_id=request.run_id,
            submission_id=new_id("s"),
            written_at=written_at,
            checkpoint=encoded[0],
            metadata=encoded[1],
            values=encoded[2].values,
            apart=encoded[2].apart,
            reused=request.reused,
            versions={name: str(version) for name, version in request.versions.items()},
            columns=request.columns,
        )
        plan = plan_checkpoint(parts, lambda: new_id("b"))
        rows = [copy.to_rows() for copy in plan.copies]
        await self._submit_put(request, plan, rows, encoded[2].missed)

    def _count_dead(self, request: PutRequest, epoch: str) -> None:
        killed = self.memory.epochs.is_killed(epoch)
        if killed or (request.key.thread_id, request.run_id) in self.memory.dead_runs:
            self.stats.add("dead_puts")
            logger.warning(
                "put into thread %r, %s was deleted meanwhile: checkpoint %s stays dead",
                request.key.thread_id,
                "which" if killed else f"whose run {request.run_id}",
                request.key.checkpoint_id,
            )

    def _remember_run(self, key: CheckpointKey, run_id: str) -> None:
        if run_id:
            self.memory.own_runs.add([(key.thread_id, run_id)])

    async def _submit_put(
        self,
        request: PutRequest,
        plan: CheckpointPlan,
        blob_rows: list[list[Line]],
        missed: Container[str],
    ) -> None:
        memory, key = self.memory, request.key
        sizes = [sum(map(len, rows)) for rows in blob_rows]
        total = sum(sizes) + len(plan.row_json)
        identities = [*(copy.ref.blob_id for copy in plan.copies), plan.row.submission_id]
        await self._commits.admit(total)
        arrived = asyncio.get_running_loop().time()

        async def send() -> None:
            await _all(needed)
            memory.overlay.acknowledge(identities[:-1], now_ticks())
            # The row waits since the blobs do: a flush interval is waited for once.
            await self._writer.submit(CHECKPOINTS, [plan.row_json], arrived)
            self._acknowledge(identities[-1:])

        def undo() -> None:
            memory.overlay.remove(identities)
            memory.manifests.forget(key)

        with self._commits.undoing(total, undo):
            needed = self._submit_blobs(plan, blob_rows, request.reused)
            for copy, size in zip(plan.copies, sizes, strict=True):
                memory.overlay.add_blob(copy, size)
            memory.overlay.add_checkpoint(plan.row, len(plan.row_json))
            stored = {copy.channel: copy.ref for copy in plan.copies if copy.channel is not None}
            memory.remember_values(request, plan, stored, missed)
            if request.on_submitted is not None:
                request.on_submitted(stored)
            memory.epochs.remember(key, plan.row.epoch)
            self._remember_run(key, request.run_id)
        framed = len(plan.bases) + sum(copy.ref.base is not None for copy in plan.copies)
        self.stats.add("blobs_stored", len(plan.copies))
        self.stats.add("blobs_reused", len(request.reused))
        self.stats.add("frames_stored", framed)
        what = f"put of checkpoint {key.checkpoint_id} of thread {key.thread_id!r}"
        await self._commits.run(send, undo, total, what)

    def _submit_blobs(
        self,
        plan: CheckpointPlan,
        blob_rows: list[list[Line]],
        reused: Mapping[str, BlobRef],
    ) -> list[asyncio.Future[None]]:
        """Submit new copies; give everything the checkpoint row has to wait for."""
        needed: list[asyncio.Future[None]] = []
        bases = [copy.ref.base for copy in plan.copies if copy.ref.base is not None]
        for ref in all_of_chains([*reused.values(), *plan.bases, *bases]):
            if ref.blob_id in self._lost_blobs:
                raise WriteFailedError(
                    f"checkpoint {plan.row.key.checkpoint_id} refers to a value of its parent that"
                    " was not written; put it again"
                )
            if ref.blob_id in self._blob_answers:
                needed.append(self._blob_answers[ref.blob_id])
        for copy, rows in zip(plan.copies, blob_rows, strict=True):
            answer = self._writer.submit(BLOBS, rows)
            if self._visibility is not None:
                answer = self._visibility.follow(copy.ref, answer)
            self._blob_answers[copy.ref.blob_id] = answer
            answer.add_done_callback(partial(self._blob_answered, copy.ref.blob_id))
            needed.append(answer)
        return needed

    def _blob_answered(self, blob_id: str, answer: asyncio.Future[None]) -> None:
        self._blob_answers.pop(blob_id, None)
        if answer.cancelled() or answer.exception() is not None:
            self._lost_blobs.put(blob_id, True)

    async def _epoch_for_put(self, request: PutRequest) -> str:
        """Inherit the epoch of the parent, or start one (see `Epochs`)."""
        key, epochs = request.key, self.memory.epochs
        if request.parent_checkpoint_id:
            parent = key._replace(checkpoint_id=request.parent_checkpoint_id)
        elif key.checkpoint_ns:
            enclosing = _enclosing(key, request.checkpoint_map)
            if enclosing is None:
                return new_id("e")
            parent = enclosing
        else:
            return new_id("e")
        return (
            epochs.of(parent)
            or await self._find_epoch(parent)
            or epochs.latest(key.thread_id)
            or new_id("e")
        )

    async def _find_epoch(self, key: CheckpointKey) -> str | None:
        """Ask Kusto for the epoch of a checkpoint; a living copy before a dead one."""
        with understood():
            stored, stones = await self.query(
                _kql.FIND_EPOCH,
                {"p_thread": key.thread_id, "p_ns": key.checkpoint_ns, "p_id": key.checkpoint_id},
            )
            deaths = Deaths.of(tombstones_from_rows(stones.records()))
            found = sorted(row["epoch"] for row in stored.records() if row["epoch"])
        self.memory.epochs.kill(deaths.epochs)
        living = [epoch for epoch in found if not self.memory.epochs.is_killed(epoch)]
        if not found:
            return None
        epoch = (living or found)[-1]
        self.memory.epochs.remember(key, epoch)
        return str(epoch)

    # -- put_writes ------------------------------------------------------------------------------

    async def put_writes(self, request: WritesRequest) -> None:
        """Store the writes of one call, all or none."""
        self.raise_failures()
        if not request.writes:
            return
        written_at = self.memory.clock.issue(now_ticks())
        size = sum(len(value[1]) for _, _, value in request.writes)
        if size > OFF_LOOP_BYTES:
            writes = await run_in_thread(_encode_writes, request)
        else:
            writes = _encode_writes(request)
        submission = WriteSubmission(
            key=request.key,
            epoch=request.epoch or await self._epoch_for_writes(request.key),
            run_id=request.run_id,
            submission_id=new_id("s"),
            written_at=written_at,
            writes=writes,
        )
        rows = submission.to_rows()
        total = sum(map(len, rows))
        await self._commits.admit(total)
        overlay, identity = self.memory.overlay, submission.submission_id

        async def send() -> None:
            await self._writer.submit(WRITES, rows)
            self._acknowledge([identity])

        def undo() -> None:
            overlay.remove([identity])

        with self._commits.undoing(total, undo):
            overlay.add_writes(submission, total, len(rows))
            self._remember_run(request.key, request.run_id)
        what = f"{len(writes)} writes of task {request.task_id} of thread {request.key.thread_id!r}"
        await self._commits.run(send, undo, total, what)

    async def _epoch_for_writes(self, key: CheckpointKey) -> str:
        """The epoch of a checkpoint that may not be there yet.

        In a thread this process knows, a checkpoint it does not know is one that is about to be
        put, as LangGraph does it by default: it will have the epoch this process uses there. If it
        uses two (a run of a deleted life may go on beside one of the next), the write gets none:
        it lives and dies with its checkpoint. Kusto is asked only where this process knows none.
        """
        epochs = self.memory.epochs
        known = epochs.of(key) or epochs.only(key.thread_id)
        if known is None and epochs.latest(key.thread_id) is not None:
            return ""
        return known or await self._find_epoch(key) or ""

    # -- renewal ---------------------------------------------------------------------------------

    async def send_again(
        self, table: str, size_bytes: int, read: Callable[[], Awaitable[Sequence[bytes]]]
    ) -> int:
        """Read rows that Kusto has already, and send them once more; give their number.

        On return they are acknowledged, in `buffered` mode, too: what depends on them is sent only
        after this. Room is taken before they are read, `size_bytes` being what they weigh at most.
        When the caller is cancelled, what is in flight keeps its room until it is answered.
        What queued ingestion took is followed until Kusto shows it.
        """
        await self._commits.admit(size_bytes)
        try:
            rows = await read()
            answer = self._writer.submit(table, rows)
        except BaseException:
            self._commits.release(size_bytes)
            raise
        answer.add_done_callback(partial(self._answered_again, size_bytes))
        self._writer.hurry()
        try:
            await asyncio.wait([answer])  # cancelling this does not cancel the answer
        finally:
            self._writer.relax()
        answer.result()
        if self._visibility is not None:
            self._visibility.watch_again(await run_in_thread(sent_again, table, rows))
        return len(rows)

    def _answered_again(self, size_bytes: int, answer: asyncio.Future[None]) -> None:
        self._commits.release(size_bytes)
        if not answer.cancelled():
            answer.exception()  # perhaps nobody waits for it any more

    # -- delete ----------------------------------------------------------------------------------

    async def bury(
        self, thread_id: str, scope: str, items: Sequence[str], after: int, reason: str
    ) -> None:
        """Write a tombstone; on return it is acknowledged, and this saver shows nothing it kills.

        `after` is the latest time among what it kills: a tombstone is later than its dead.
        """
        memory, overlay = self.memory, self.memory.overlay
        stone = Tombstone(
            thread_id=thread_id,
            tombstone_id=new_id("t"),
            scope=scope,
            items=tuple(items),
            written_at=max(memory.clock.issue(now_ticks()), after + 1),
            reason=reason,
        )
        rows = stone.to_rows()
        total = sum(map(len, rows))
        deaths = Deaths.of([stone])
        await self._commits.admit(total)

        async def send() -> None:
            await self._writer.submit(TOMBSTONES, rows)
            self._acknowledge([stone.tombstone_id])
            memory.bury(thread_id, deaths)

        def undo() -> None:
            overlay.remove([stone.tombstone_id])
            memory.epochs.revive(deaths.epochs)
            memory.dead_runs.discard(deaths.runs)

        with self._commits.undoing(total, undo):
            overlay.add_tombstone(stone, total, len(rows))
            memory.epochs.kill(deaths.epochs)
            memory.dead_runs.add(deaths.runs)
        await self._commits.run(send, undo, total, f"{reason} of thread {thread_id!r}")

    def _acknowledge(self, identities: Sequence[str]) -> None:
        """Note that Kusto has these; what queued ingestion took is watched until it shows."""
        self.memory.overlay.acknowledge(identities, now_ticks())
        if self._visibility is not None:
            self._visibility.watch()

    # -- life cycle ------------------------------------------------------------------------------

    def raise_failures(self) -> None:
        """Raise what failed with nobody waiting, once; every call of the saver starts with it."""
        self._commits.raise_failures()

    async def begin_read(self) -> None:
        """Raise what failed unheard; let go of own rows so old that Kusto may have dropped them.

        Own rows are answers until a query has shown them. After a day without that, Kusto is asked.
        """
        self.raise_failures()
        moment = self.now() - _EXPIRED_AFTER_TICKS
        while self.memory.overlay.acknowledged_before(moment):
            if not await self._commits.confirm(expired_before=moment):
                break

    def now(self) -> int:
        """The present."""
        return now_ticks()

    async def flush(self) -> None:
        """Wait until everything accepted so far is answered, then raise what failed unheard."""
        await self._commits.flush()

    async def aclose(self) -> None:
        """Drain, close the transport, then report what was not written."""
        self._closed = True
        try:
            await self._commits.drain()
            if self._visibility is not None:
                await self._visibility.aclose()
        finally:
            try:
                await self._queries.aclose()
            finally:
                await self.transport.aclose()
        self.raise_failures()

    def abandon(self) -> None:
        """Give up a core whose event loop is gone; called from outside of it."""
        self._commits.abandon()
        if self._visibility is not None:
            self._visibility.abandon()


def new_id(prefix: str) -> str:
    """A fresh identity: letters and digits, never looking like a number or a date to Kusto."""
    return prefix + os.urandom(16).hex()


def _enclosing(key: CheckpointKey, checkpoint_map: Mapping[str, str]) -> CheckpointKey | None:
    """The checkpoint of the nearest enclosing graph, for the first put of a subgraph."""
    around = [ns for ns in checkpoint_map if ns != key.checkpoint_ns and checkpoint_map[ns]]
    if not around:
        return None
    nearest = max(around, key=len)
    return CheckpointKey(key.thread_id, nearest, checkpoint_map[nearest])


async def _all(answers: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all, then raise the first failure; shared futures are not cancelled."""
    if answers:
        await asyncio.wait(answers)
    for answer in answers:
        answer.result()


def _encode_writes(request: WritesRequest) -> tuple[PendingWrite, ...]:
    return tuple(
        PendingWrite(request.task_id, request.task_path, idx, channel, encode_value(*value))
        for idx, channel, value in request.writes
    )


def present() -> int:
    """The present, for what has no core at hand."""
    return now_ticks()

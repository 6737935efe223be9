"""History: what LangGraph's delta channels are rebuilt from, in three requests for 16 channels.

The chain of ancestors without payload, a second time in full when the thread forks, then the writes
of the path together with the rows and blobs that hold the seeds. More are taken only by what passes
the limit of a query result, and by a way that ends at an ancestor which is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from . import _kql
from ._ancestors import Ancestor, Chain, find_path, groups, range_parameters
from ._assembly import (
    RESULT_BYTES,
    RESULT_ROWS,
    MissingPartsError,
    RawCheckpoint,
    RawWrite,
    channel_value,
    deaths_parameters,
    page_writes,
)
from ._clock import TICKS_PER_DAY
from ._core import Core
from ._delta_channel import Walk
from ._patience import until_whole
from ._pending_writes import WriteSubmission, chosen_from_rows, winners_with_origin
from ._reader import read_checkpoint
from ._requests import Typed
from ._rows import (
    CheckpointKey,
    StoredCheckpoint,
    blobs_from_rows,
    checkpoint_from_row,
)
from ._tombstones import to_item
from ._values import BlobRef, Encoded, base64_chars, decode_value
from .errors import PartsLostError, ResultTooLargeError


@dataclass(frozen=True)
class RawHistory:
    """What one channel is rebuilt from, not deserialised: writes oldest first."""

    seed: Typed | None
    writes: Sequence[RawWrite]


VersionsOf = Callable[[RawCheckpoint], Collection[str]]
"""Reads which channels of a checkpoint were ever written; needs the serializer."""


async def read_history(
    core: Core, target: CheckpointKey, channels: Sequence[str], versions_of: VersionsOf, whole: bool
) -> dict[str, RawHistory]:
    """Read seed and writes of some channels from the ancestors of a checkpoint.

    A channel that was never written has no history, be its ancestors there or not. With `whole`
    all of the namespace is loaded at once: a request less where the way leaves the nearest value.

    Raises:
        IncompleteCheckpointError: An ancestor is not visible within `visibility_timeout`.
        PartsLostError: An ancestor that is needed was deleted, or has expired.
    """
    what = f"the history of checkpoint {target.checkpoint_id} of thread {target.thread_id!r}"
    found: dict[str, RawHistory] = {}
    for some in groups(channels):
        work = partial(_read_some, core, target, some, versions_of, whole)
        found |= await until_whole(core, what, work)
    return found


async def walk_ancestors(
    core: Core, target: CheckpointKey, channels: Sequence[str], versions: Collection[str] = ()
) -> Walk:
    """Find the ancestors that some channels of a checkpoint need, as far as they are there.

    Seeds are verified on their values: what works on the answer deletes what lies beyond them. A
    channel without a value and without writes needs none, when it is not among the versions of the
    checkpoint either.
    """
    what = f"the chain of checkpoint {target.checkpoint_id} of thread {target.thread_id!r}"
    found = Walk()
    for some in groups(channels):
        parts, part, _ = await until_whole(core, what, partial(_settle, core, Chain(target, some)))
        for channel, span in part.spans.items():
            needed = channel in part.seeds or channel in versions or not versions
            found.spans[channel] = span if needed or parts.writes_of(channel, span) else []
        found.seeds |= part.seeds
        found.missing = found.missing or part.missing
    return found


async def _read_some(
    core: Core, target: CheckpointKey, channels: Sequence[str], versions_of: VersionsOf, whole: bool
) -> dict[str, RawHistory]:
    chain = Chain(target, channels, whole=whole)
    parts, path, seeds = await _settle(core, chain)
    await _check_target(core, chain)
    while path.missing and await _begin(core, chain, path, versions_of):
        parts, path, seeds = await _settle(core, chain)
    if path.missing:
        raw = await read_checkpoint(
            core, target.thread_id, target.checkpoint_ns, target.checkpoint_id
        )
        versions = () if raw is None else versions_of(raw)
        written = [name for name in channels if name in versions or not versions]
        if len(written) == len(channels):
            await _raise_missing(core, chain, path)
        rest = await _read_some(core, target, written, versions_of, whole) if written else {}
        return {channel: rest.get(channel, RawHistory(None, [])) for channel in channels}
    _note_lineage(core, chain, path)
    return {
        channel: RawHistory(seeds.get(channel), parts.writes_of(channel, span))
        for channel, span in path.spans.items()
    }


async def _begin(core: Core, chain: Chain, path: Walk, versions_of: VersionsOf) -> bool:
    """Look whether the way ends where it should, though the next ancestor is not there.

    A channel that had never been written when the last ancestor was put has no writes beyond it:
    what retention or a prune took from there does not matter.
    """
    ended = {
        channel
        for channel, span in path.spans.items()
        if span and channel in chain.rows[span[-1]].link.begins
    }
    open_spans = {
        channel: span
        for channel, span in path.spans.items()
        if channel not in path.seeds and channel not in ended
    }
    last = next((span[-1] for span in open_spans.values() if span), None)
    if last is None:
        return False
    target = chain.target
    try:
        raw = await read_checkpoint(core, target.thread_id, target.checkpoint_ns, last)
    except PartsLostError:  # nothing is known of it then
        return False
    versions = () if raw is None else versions_of(raw)
    begun = [channel for channel in open_spans if versions and channel not in versions]
    chain.begin(last, begun)
    return bool(begun)


def _note_lineage(core: Core, chain: Chain, path: Walk) -> None:
    """Remember how old the parts are that were read: the next put has to know."""
    own = chain.rows.get(chain.target.checkpoint_id)
    if own is not None:
        since = chain.since(path, own.ingested)
        known = {channel: min(moment, own.ingested) for channel, moment in since.items()}
        core.memory.lineages.learn(chain.target, known)


async def _settle(core: Core, chain: Chain) -> tuple[_Parts, Walk, dict[str, Typed]]:
    """Walk, read the parts and verify the seeds, until each is one; a missing ancestor ends it."""
    while True:
        path = await find_path(core, chain)
        parts = await _read_parts(core, chain, path)
        seeds: dict[str, Typed] = {}
        for channel, checkpoint_id in path.seeds.items():
            head = parts.heads.get(checkpoint_id)
            if head is None:
                raise MissingPartsError(f"the row of checkpoint {checkpoint_id} is not visible")
            value = await channel_value(core, head, parts.blobs, channel)
            if value is None:
                chain.correct(checkpoint_id, channel)
            else:
                seeds[channel] = value
        if len(seeds) == len(path.seeds):
            return parts, path, seeds


async def _raise_missing(core: Core, chain: Chain, path: Walk) -> NoReturn:
    """Say whether an ancestor is gone for good: it is when its child has been there for long."""
    fate = await _fate(core, chain, path.missing)
    child = min((row.written_at for row in _children(chain, path.missing)), default=core.now())
    expired = child < core.now() - TICKS_PER_DAY
    if fate == "deleted" or (fate == "absent" and expired):
        raise _lost(chain, f"its ancestor {path.missing}, which is {fate}")
    raise MissingPartsError(f"the ancestor {path.missing} is not visible")


def _children(chain: Chain, checkpoint_id: str) -> Iterator[Ancestor]:
    return (row for row in chain.rows.values() if row.link.parent_id == checkpoint_id)


async def _check_target(core: Core, chain: Chain) -> None:
    """A checkpoint nobody knows has no history; one that was deleted has lost it."""
    if chain.target.checkpoint_id in chain.rows:
        return
    fate = await _fate(core, chain, chain.target.checkpoint_id)
    if fate == "deleted":
        raise _lost(chain, "its ancestors, and is deleted itself")
    if fate == "alive":
        raise MissingPartsError(f"checkpoint {chain.target.checkpoint_id} was not visible yet")


def _lost(chain: Chain, what: str) -> PartsLostError:
    return PartsLostError(
        f"checkpoint {chain.target.checkpoint_id} of thread {chain.target.thread_id!r} needs"
        f" {what}: channels {', '.join(map(repr, chain.channels[:5]))} cannot be rebuilt; go back"
        " to another checkpoint, or delete the thread"
    )


async def _fate(core: Core, chain: Chain, checkpoint_id: str) -> str:
    """Ask whether a checkpoint is "alive", "deleted", or "absent"."""
    target = chain.target
    marks, heads, *_ = await core.query(
        _kql.READ_BY_ID,
        {
            "p_thread": target.thread_id,
            "p_ns": target.checkpoint_ns,
            "p_encoded_ns": to_item(target.checkpoint_ns),
            "p_id": checkpoint_id,
            "p_blobs": "",
            "p_budget": -1,
            "p_rows": 0,
            **deaths_parameters(chain.view(core)),
        },
    )
    key = target._replace(checkpoint_id=checkpoint_id)
    if heads.rows or chain.view(core).copy_of(key) is not None:  # put meanwhile, perhaps
        return "alive"
    if marks.records()[0]["present"] or core.memory.is_buried(key):
        return "deleted"
    return "absent"


# -- the parts ---------------------------------------------------------------------------------


@dataclass
class _Parts:
    """What the path needs: rows that hold seeds, their blobs, the writes."""

    heads: dict[str, StoredCheckpoint] = field(default_factory=dict)
    blobs: dict[str, Encoded] = field(default_factory=dict)
    submissions: dict[str, list[WriteSubmission]] = field(default_factory=dict)
    haunted: set[str] = field(default_factory=set)
    """Checkpoints with a copy in a dead epoch: own writes without an epoch were meant for that."""

    def writes_of(self, channel: str, span: Sequence[str]) -> list[RawWrite]:
        """The writes to one channel, oldest first."""
        found: list[RawWrite] = []
        for checkpoint_id in reversed(span):
            where = f"checkpoint {checkpoint_id!r}"
            for submission, write in winners_with_origin(self.submissions.get(checkpoint_id, ())):
                if write.channel == channel:
                    what = f"write {write.idx} of task {write.task_id!r} of {where}"
                    value = (write.value.value_type, decode_value(write.value, what))
                    found.append(
                        RawWrite(
                            write.task_id,
                            write.task_path,
                            write.idx,
                            write.channel,
                            value,
                            submission.run_id,
                        )
                    )
        return found


async def _read_parts(core: Core, chain: Chain, path: Walk) -> _Parts:
    target = chain.target
    view = chain.view(core)
    parts = _Parts(blobs=dict(view.blobs))
    own_rows = {
        row.key.checkpoint_id: row
        for row in view.checkpoints
        if row.key.checkpoint_ns == target.checkpoint_ns
    }
    wanted: dict[str, str] = {}
    refs: dict[str, BlobRef] = {}
    for channel, checkpoint_id in path.seeds.items():
        ancestor = chain.rows[checkpoint_id]
        own = own_rows.get(checkpoint_id)
        if own is not None and own.submission_id == ancestor.submission_id:
            parts.heads[checkpoint_id] = own
        else:
            wanted[checkpoint_id] = ancestor.submission_id
        ref = ancestor.ref_of(channel)
        for needed in () if ref is None else ref.chain():
            if needed.blob_id not in parts.blobs:
                refs[needed.blob_id] = needed
    ids = sorted(path.path)
    by_id: dict[str, list[WriteSubmission]] = {}
    for submission in view.submissions:
        key = submission.key
        if key.checkpoint_ns == target.checkpoint_ns and key.checkpoint_id in path.path:
            by_id.setdefault(key.checkpoint_id, []).append(submission)
    budget = RESULT_BYTES - sum(base64_chars(ref.stored_bytes) for ref in refs.values())
    first = {"p_heads": ",".join(wanted.values()), "p_blobs": ",".join(refs) if budget > 0 else ""}
    for page in plan_ranges(ids, chain.rows, max(budget, 0)) or ([[]] if wanted else []):
        await _read_range(core, chain, page, first, sorted(by_id), parts)
        first = {"p_heads": "", "p_blobs": ""}
    for checkpoint_id, own_submissions in by_id.items():
        own_submissions = [
            item
            for item in own_submissions
            if not chain.deaths.kills(item) and (item.epoch or checkpoint_id not in parts.haunted)
        ]
        shown = {item.submission_id for item in parts.submissions.get(checkpoint_id, ())}
        parts.submissions.setdefault(checkpoint_id, []).extend(
            item for item in own_submissions if item.submission_id not in shown
        )
    return parts


def plan_ranges(
    ids: Sequence[str], rows: Mapping[str, Ancestor], first_budget: int
) -> list[list[str]]:
    """Cut sorted ids into ranges whose writes stay under the limit of a result."""
    pages: list[list[str]] = []
    page: list[str] = []
    left_bytes, left_rows = first_budget, RESULT_ROWS
    for checkpoint_id in ids:
        row = rows[checkpoint_id]
        if page and (row.write_bytes > left_bytes or row.write_rows > left_rows):
            pages.append(page)
            page, left_bytes, left_rows = [], RESULT_BYTES, RESULT_ROWS
        page.append(checkpoint_id)
        left_bytes -= row.write_bytes
        left_rows -= row.write_rows
    return [*pages, page] if page else pages


async def _read_range(
    core: Core,
    chain: Chain,
    ids: list[str],
    extra: Mapping[str, str],
    fresh: Sequence[str],
    parts: _Parts,
) -> None:
    """Read the writes of a range of ids; in halves when it is too large after all."""
    target = chain.target
    view = chain.view(core)
    parameters: dict[str, str | int] = {
        **range_parameters(target, chain.channels),
        **deaths_parameters(view),
        **extra,
        "p_low": ids[0] if ids else "",
        "p_high": ids[-1] if ids else "",
        "p_fresh": ",".join(map(to_item, fresh)),
    }
    try:
        tables = await core.query(_kql.READ_HISTORY, parameters)
    except ResultTooLargeError:
        if not ids:
            raise
        none = dict.fromkeys(extra, "")
        if len(ids) == 1:
            key = target._replace(checkpoint_id=ids[0])
            parts.submissions[ids[0]] = await page_writes(core, key, view)
            if any(extra.values()):
                await _read_range(core, chain, [], extra, fresh, parts)
            return
        half = len(ids) // 2
        await _read_range(core, chain, ids[:half], extra, fresh, parts)
        await _read_range(core, chain, ids[half:], none, fresh, parts)
        return
    heads, blobs, writes, living, haunts, stones = tables
    chain.learn(core, stones)
    own = {row.key.checkpoint_id for row in view.without(chain.deaths).checkpoints}
    alive = own.union(record["checkpoint_id"] for record in living.records())
    if not alive.issuperset(ids):
        raise MissingPartsError("an ancestor was deleted while the history was read")
    parts.haunted.update(record["checkpoint_id"] for record in haunts.records())
    for head in map(checkpoint_from_row, heads.records()):
        parts.heads[head.key.checkpoint_id] = head
    parts.blobs |= blobs_from_rows(blobs.records())
    wanted = set(ids)
    try:
        submissions = chosen_from_rows(writes.records())
    except ValueError as error:
        raise MissingPartsError(str(error)) from error
    for submission in submissions:
        if submission.key.checkpoint_id in wanted:
            parts.submissions.setdefault(submission.key.checkpoint_id, []).append(submission)

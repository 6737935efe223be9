"""Renewal: before a put, send again what its checkpoint needs and retention would take too soon.

Rules:
- The same rows, all columns: recognised as the rows they are, never later than what was written
  meanwhile, dead where a tombstone killed them.
- Before the checkpoint's own row, and acknowledged: blobs, then writes, then the rows of ancestors.
- Whole ancestors, so that each stays one that can be read.
- The newest first, so that a thread that rested longer than its view never has an older one as its
  newest when the renewal ends in the middle.
- Room in the intake is taken before rows are read: renewals are bounded as puts are.
- Nothing is asked as long as this process knows the ancestors to be young.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from . import _kql
from ._ancestors import Ancestor, Chain, find_path, groups
from ._assembly import (
    RESULT_BYTES,
    deaths_parameters,
    fetch_blobs,
    plan_pages,
    read_page,
)
from ._clock import parse_ticks
from ._core import Core
from ._lineage import Lineage, Step, born_at
from ._provisioning import read_periods
from ._requests import PutRequest
from ._retention import YOUNG_TICKS, Ages
from ._row_cells import refs_from_json, spilled_refs
from ._rows import CheckpointKey, all_of_chains
from ._same_rows import same_rows
from ._schema import BLOBS, CHECKPOINTS, WRITES
from ._tombstones import to_item
from ._transport import understood
from ._values import CHUNK_BYTES, base64_chars, decode_value
from .errors import CorruptValueError, KustoCheckpointError, ResultTooLargeError

logger = logging.getLogger(__name__)

_GROUP_ANCESTORS = 2_000
_GROUP_BLOBS = 10_000
_PAGES_IN_INTAKE = 4  # so that others get through between the pages of one


async def put_checkpoint(core: Core, request: PutRequest) -> None:
    """Store a checkpoint so that what it needs is there as long as it is; else as `Core.put`.

    Raises:
        ServiceError: The ancestors could not be looked at or sent again; nothing was stored.
    """
    core.raise_failures()
    with understood():
        if request.doubtful:
            request = settle_doubts(request, await _ages(core), core)
        since = await _prepare(core, request)
    await core.put(request)
    if since:
        core.memory.lineages.learn(request.key, since)


def settle_doubts(request: PutRequest, ages: Ages, core: Core) -> PutRequest:
    """Refer to a stored copy only if it outlives the checkpoint; else store the value again."""
    oldest = core.now() - max(ages.values, YOUNG_TICKS)
    again = {
        channel: value
        for channel, value in request.doubtful.items()
        if core.memory.manifests.stored_at(request.reused[channel]) < oldest
    }
    reused = {name: ref for name, ref in request.reused.items() if name not in again}
    return replace(request, values={**request.values, **again}, reused=reused, doubtful={})


async def _ages(core: Core) -> Ages:
    """The ages by the policies, which are read at most hourly; unknown means always."""
    known = core.memory.retention.ages(core.now())
    if known is not None:
        return known
    async with core.reading_policies:  # who waits here relies on what the first one reads
        known = core.memory.retention.ages(core.now())
        return await _read_ages(core) if known is None else known


async def _read_ages(core: Core) -> Ages:
    now = core.now()
    try:
        periods = await read_periods(core)
    except KustoCheckpointError as error:
        logger.warning("could not read the retention policies: %s", error)
        periods = None
    if periods is None:
        logger.warning(
            "the retention policies are not known: until they are, what is older than a day is"
            " stored again whenever a put needs it; `%s` and `%s` must answer (Database Viewer)",
            _kql.SHOW_TABLES,
            _kql.SHOW_VIEW,
        )
    elif remedies := periods.remedies():
        logger.warning("retention is too short, parts may expire too soon: %s", "; ".join(remedies))
    return core.memory.retention.learn(periods, now)


# -- what is needed ----------------------------------------------------------------------------


@dataclass
class _Need:
    """What the delta channels of a checkpoint that is not stored yet are rebuilt from."""

    since: dict[str, int] = field(default_factory=dict)
    ancestors: dict[str, Ancestor] = field(default_factory=dict)
    missing: str = ""


async def _prepare(core: Core, request: PutRequest) -> dict[str, int]:
    """Renew the ancestors if need be; give what children of the checkpoint will depend on."""
    lineages, now = core.memory.lineages, core.now()
    born = born_at(request.key.checkpoint_id, now)
    step = Step(
        request.counted, {*request.values, *request.reused, *request.riding}, request.versions
    )
    if not request.parent_checkpoint_id:
        return step.since(None, born)
    parent = request.key._replace(checkpoint_id=request.parent_checkpoint_id)
    known = lineages.of(parent)
    needed = step.needed(known)
    if needed and (known is None or known.lacks(needed) or await _is_due(core, known, needed)):
        need = await _look(core, request, needed)
        known = lineages.learn(parent, need.since)
        if await _is_due(core, known, needed):
            await _renew(core, request.key, need.ancestors, now)
            # What was too young to be sent is as old as it is.
            young = [row.ingested for row in need.ancestors.values() if not _is_sent(row, now)]
            known = lineages.learn(parent, dict.fromkeys(needed, min(young, default=now)))
    return step.since(known, born)


def _is_sent(row: Ancestor, now: int) -> bool:
    return row.ingested < now - YOUNG_TICKS


async def _is_due(core: Core, lineage: Lineage, channels: Collection[str]) -> bool:
    oldest, now = lineage.oldest(channels), core.now()
    if oldest is None or oldest >= now - YOUNG_TICKS:
        return False
    return oldest < now - (await _ages(core)).ancestors


async def _look(core: Core, request: PutRequest, channels: Sequence[str]) -> _Need:
    """Find the ancestors by one query of their keys and ages, more only for forks."""
    need = _Need()
    for some in groups(channels):
        chain = Chain(request.key, some, parent_id=request.parent_checkpoint_id)
        path = await find_path(core, chain)
        need.since |= chain.since(path, core.now())
        need.ancestors |= {name: chain.rows[name] for name in path.path}
        need.missing = need.missing or path.missing
    if need.missing:
        core.stats.add("missing_ancestors")
        logger.warning(
            "delta channels %s of checkpoint %s, thread %r, need the ancestor %s, which is not"
            " there: deleted, expired, or not visible yet",
            ", ".join(channels),
            request.key.checkpoint_id,
            request.key.thread_id,
            need.missing,
        )
    return need


# -- the same rows again -----------------------------------------------------------------------


async def _renew(
    core: Core, key: CheckpointKey, ancestors: Mapping[str, Ancestor], now: int
) -> None:
    """Send the rows of some ancestors again, all but the young ones; the newest first."""
    old = {name: row for name, row in ancestors.items() if _is_sent(row, now)}
    rows = 0
    names = sorted(old, reverse=True)
    for some in (names[:1], *groups(names[1:], _GROUP_ANCESTORS)):
        rows += await _renew_group(core, key, {old[name].submission_id: name for name in some})
    core.stats.add("renewals")
    core.stats.add("rows_renewed", rows)
    logger.info(
        "sent %d ancestors of checkpoint %s, thread %r, again, in %d rows: the oldest part is from"
        " %d days ago",
        len(old),
        key.checkpoint_id,
        key.thread_id,
        rows,
        (core.now() - min(row.ingested for row in old.values())) // YOUNG_TICKS,
    )


async def _renew_group(core: Core, key: CheckpointKey, names: Mapping[str, str]) -> int:
    """Send ancestors again, given by their submissions; in halves when even their list is large."""
    view = core.memory.overlay.view(key.thread_id)
    try:
        heads, writes = await core.query(
            _kql.WEIGH_ANCESTORS,
            {
                "p_thread": key.thread_id,
                "p_ns": key.checkpoint_ns,
                "p_heads": ",".join(names),
                "p_ids": ",".join(map(to_item, names.values())),
                **deaths_parameters(view),
            },
        )
    except ResultTooLargeError:
        if len(names) == 1:
            raise
        items, half = list(names.items()), len(names) // 2
        rows = await _renew_group(core, key, dict(items[:half]))
        return rows + await _renew_group(core, key, dict(items[half:]))
    found = heads.records()
    blob_ids = {name for head in found for name in head["blob_ids"].split(",") if name}
    for head in found:
        ancestor = key._replace(checkpoint_id=names[head["submission_id"]])
        blob_ids |= await _spilled_blobs(core, ancestor, head["refs"])
    rows = await _send_pages(core, key, BLOBS, await _old_blobs(core, key, sorted(blob_ids)))
    rows += await _send_pages(
        core,
        key,
        WRITES,
        [
            (call["submission_id"], call["row_count"], call["all_bytes"], call["largest"])
            for call in writes.records()
        ],
    )
    weights = [(head["submission_id"], 1, head["all_bytes"], head["all_bytes"]) for head in found]
    return rows + await _send_pages(core, key, CHECKPOINTS, weights)


async def _spilled_blobs(core: Core, key: CheckpointKey, cell: str) -> set[str]:
    """The blobs of an ancestor's channels, where their list does not stand in the row itself.

    When the list is torn or damaged, the rest is renewed all the same: a put that failed for it
    would mend nothing, and end the thread for channels that do not need it, too. Who reads the
    ancestor hears of it.
    """
    where = f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r}"
    try:
        ref = spilled_refs(cell, where) if cell else None
        if ref is None:
            return set()
        blobs = await fetch_blobs(core, key.thread_id, {ref.blob_id: ref})
        if ref.blob_id not in blobs:
            return set()
        values, bases = refs_from_json(decode_value(blobs[ref.blob_id], where), where)
    except CorruptValueError as error:
        logger.warning("an ancestor is damaged, its large values are not sent again: %s", error)
        return set()
    return {item.blob_id for item in all_of_chains([*values.values(), *bases.values()])}


async def _old_blobs(
    core: Core, key: CheckpointKey, blob_ids: Sequence[str]
) -> list[tuple[str, int, int, int]]:
    """Weigh the blobs that would not outlive a row that is ingested now."""
    oldest = core.now() - max((await _ages(core)).values, YOUNG_TICKS)
    found: list[tuple[str, int, int, int]] = []
    for start in range(0, len(blob_ids), _GROUP_BLOBS):
        some = ",".join(blob_ids[start : start + _GROUP_BLOBS])
        (weights,) = await core.query(_kql.WEIGH_BLOBS, {"p_thread": key.thread_id, "p_ids": some})
        for blob in weights.records():
            if parse_ticks(blob["ingested"]) < oldest:
                chunk = base64_chars(min(blob["stored_bytes"], CHUNK_BYTES)) + 1_000
                largest = chunk * blob["landings"]
                found.append((blob["blob_id"], blob["chunks"], largest * blob["chunks"], largest))
    return found


async def _send_pages(
    core: Core, key: CheckpointKey, table: str, weights: Iterable[tuple[str, int, int, int]]
) -> int:
    """Send rows page by page, each acknowledged before the next is read."""
    items = {item[0]: item for item in weights}
    page_bytes = min(RESULT_BYTES, core.options.intake_bytes // _PAGES_IN_INTAKE)
    count = 0
    for ids, low, high in plan_pages(items.values(), page_bytes):
        # Some whole submissions, or a range of the rows of one.
        sizes = [min(items[name][2], (high - low + 1) * items[name][3]) for name in ids]
        read = partial(_read_rows, core, key, table, ids, low, high)
        count += await core.send_again(table, sum(sizes), read)
    return count


async def _read_rows(
    core: Core, key: CheckpointKey, table: str, ids: Sequence[str], low: int, high: int
) -> list[bytes]:
    where = {"p_thread": key.thread_id}
    return same_rows(table, await read_page(core, _kql.READ_AGAIN[table], where, ids, low, high))

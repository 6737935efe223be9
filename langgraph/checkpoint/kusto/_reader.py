"""Reader: one checkpoint, from a query merged with the overlay, whole or not at all.

Rules:
- The overlay is looked at before the query is sent; what leaves it meanwhile is merged anyway.
- When the answer tells that the overlay's own row is dead (another saver deleted the thread), the
  question was wrong and is asked again without it.
- A checkpoint whose row is visible but whose parts are not is never answered by "none" or by an
  older one: it is read again with backoff, then `IncompleteCheckpointError` is raised.
- One request for a checkpoint, shared when many wait; more only when a shared one left it out, when
  its payload has to be paged, or when the view's newest is deleted (by run, or alone) and the table
  has to be asked for the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import _kql
from ._assembly import (
    RESULT_BYTES,
    RESULT_ROWS,
    MissingPartsError,
    RawCheckpoint,
    assemble,
    learn,
    merge_submissions,
    page_writes,
    since_of,
)
from ._clock import parse_ticks
from ._core import Core
from ._overlay import ThreadView
from ._patience import until_whole
from ._pending_writes import submissions_from_rows
from ._rows import CheckpointKey, StoredCheckpoint, blobs_from_rows, checkpoint_from_row
from ._shared_reads import Question
from ._tombstones import Deaths
from ._transport import Table
from .errors import ResultTooLargeError

_NO_DEATHS = Deaths()


async def read_checkpoint(
    core: Core, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None
) -> RawCheckpoint | None:
    """Read the newest checkpoint of a namespace, or the one with an id.

    Raises:
        IncompleteCheckpointError: It is visible, but not whole within `visibility_timeout`.
        PartsLostError: Parts of it are gone.
    """
    what = f"a checkpoint of thread {thread_id!r}, namespace {checkpoint_ns!r}"
    raw = await until_whole(
        core, what, lambda: _read_once(core, thread_id, checkpoint_ns, checkpoint_id)
    )
    if raw is not None:
        core.memory.keep(raw.base_bytes, raw.frames)
    return raw


async def _read_once(
    core: Core,
    thread_id: str,
    checkpoint_ns: str,
    checkpoint_id: str | None,
    known: Deaths = _NO_DEATHS,
    unhidden: bool = False,
) -> RawCheckpoint | None:
    view = core.memory.overlay.view(thread_id).without(known)
    if checkpoint_id is None:
        local = view.newest(thread_id, checkpoint_ns)
    else:
        local = view.copy_of(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id))
    question = _question(thread_id, checkpoint_ns, local, view)
    tables = await _ask(core, question, checkpoint_id, unhidden)
    marks, heads, blobs, writes, stones = tables
    mark = marks.records()[0]
    if mark["last_delete"]:  # what is put from now on is later, whatever this machine's clock says
        core.observe(parse_ticks(mark["last_delete"]))
    deaths = learn(core, heads, blobs, writes, stones, "" if unhidden else mark["seen_id"])
    if local is not None and deaths.kills(local):
        return await _read_once(
            core, thread_id, checkpoint_ns, checkpoint_id, known | deaths, unhidden
        )
    view = view.without(deaths)
    wanted: str = mark["wanted_id"]
    head = _last_written([*map(checkpoint_from_row, heads.records()), *([local] if local else [])])
    if head is None or head.key.checkpoint_id != wanted:
        if checkpoint_id is not None or not wanted:
            return None
        if mark["hidden"] and not unhidden:
            return await _read_once(core, thread_id, checkpoint_ns, None, known, unhidden=True)
        raise MissingPartsError(f"the row of checkpoint {wanted} is not visible yet")
    core.memory.epochs.remember(head.key, head.epoch)
    if mark["fits"]:
        submissions = submissions_from_rows(writes.records())
        found = blobs_from_rows(blobs.records())
    else:
        submissions = await page_writes(core, head.key, view)
        found = {}
    own = view.writes(head.key, haunted=mark["haunted"])
    return await assemble(core, head, {**found, **view.blobs}, merge_submissions(submissions, own))


def _question(
    thread_id: str, checkpoint_ns: str, local: StoredCheckpoint | None, view: ThreadView
) -> Question:
    blobs = _blobs_to_fetch(local, view)
    return Question(
        thread_id=thread_id,
        checkpoint_ns=checkpoint_ns,
        local_id=local.key.checkpoint_id if local else "",
        local_blobs=",".join(blobs),
        local_bytes=local.total_bytes if local and blobs else 0,
        dead=view.deaths_parameter,
        since=since_of(view),
        budget_bytes=RESULT_BYTES,
        budget_rows=RESULT_ROWS,
    )


async def _ask(
    core: Core, question: Question, checkpoint_id: str | None, unhidden: bool
) -> list[Table]:
    parameters = question.parameters()
    text = _kql.READ_LATEST_UNHIDDEN if unhidden else _kql.READ_LATEST
    if checkpoint_id is not None:
        del parameters["p_local"]
        parameters["p_id"] = checkpoint_id
        text = _kql.READ_BY_ID
    try:
        if text is _kql.READ_LATEST:
            return await core.read_latest(question)
        return await core.query(text, parameters)
    except ResultTooLargeError:  # blobs that landed several times: nothing fits, all is paged
        return await core.query(text, {**parameters, "p_budget": -1})


def _blobs_to_fetch(local: StoredCheckpoint | None, view: ThreadView) -> list[str]:
    """Blobs the overlay's own row needs and the overlay has no longer."""
    if local is None or local.total_bytes > RESULT_BYTES:
        return []
    return [ref.blob_id for ref in local.direct_refs() if ref.blob_id not in view.blobs]


def _last_written(copies: Sequence[StoredCheckpoint]) -> StoredCheckpoint | None:
    """The newest id, in the copy that was written last."""
    return max(copies, key=lambda row: (row.key.checkpoint_id, row.order), default=None)

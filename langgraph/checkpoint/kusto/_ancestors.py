"""Ancestors: the chain above a checkpoint without payload, as far as delta channels need it.

First what a thread without forks needs, from the nearest row that may hold each channel on; when
the way leads past that row, a second time in full. Rows of the overlay are merged by the same rules
as in reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import _kql
from ._assembly import deaths_parameters, learn_deaths
from ._clock import parse_ticks
from ._core import Core
from ._delta_channel import Link, Walk, walk
from ._overlay import ThreadView
from ._row_cells import ref_of_channel, value_mark
from ._rows import CheckpointKey, StoredCheckpoint
from ._tombstones import Deaths, to_item, tombstones_from_rows
from ._transport import Table
from ._values import BlobRef
from .errors import CorruptValueError

_GROUP_CHARS = 250_000  # Kusto splits a list of names into a dynamic, whose bound is 1 MiB
_NAME_CHARS = 4_096  # longer names are cut in the copy of the versions (`_columns`)


@dataclass(frozen=True)
class Ancestor:
    """One row of the chain."""

    link: Link
    submission_id: str
    written_at: int
    ingested: int
    """When the oldest part was ingested of the row and the writes to it."""
    refs: Mapping[str, BlobRef] | CorruptValueError
    """Of channels it holds: where the value is, or what the frame in the row was stored against.
    What is damaged is an error for those only who need it."""
    unwritten: frozenset[str] = frozenset()
    """Channels that had never been written, by a copy that is good for no more than a guess."""
    spilled: bool = False
    """What it holds does not stand in the row: it may have a value of every channel, or of none."""
    write_rows: int = 0
    write_bytes: int = 0

    def ref_of(self, channel: str) -> BlobRef | None:
        """The reference to the value of a channel; None when the value is no large one.

        Raises:
            CorruptValueError: The list of references is not what this library wrote.
        """
        if isinstance(self.refs, CorruptValueError):
            raise self.refs
        return self.refs.get(channel)


@dataclass
class Chain:
    """Ancestors of one checkpoint by id, as far as they were loaded."""

    target: CheckpointKey
    channels: Sequence[str]
    rows: dict[str, Ancestor] = field(default_factory=dict)
    whole: bool = False
    landed: dict[str, int] = field(default_factory=dict)
    """By checkpoint when the oldest of the writes to it was ingested, be its row there or not."""
    deaths: Deaths = field(default_factory=Deaths)
    """What is known to be dead by now, for the overlay's own rows."""
    parent_id: str | None = None
    """The parent, when the checkpoint itself is not stored yet."""

    def view(self, core: Core) -> ThreadView:
        """The overlay without what is known to be dead."""
        return core.memory.overlay.view(self.target.thread_id).without(self.deaths)

    def learn(self, core: Core, stones: Table) -> None:
        """Note what a result says is dead."""
        self.deaths |= learn_deaths(core, tombstones_from_rows(stones.records()))

    def walk(self) -> Walk:
        """Walk as far as the rows go; without the target there is no way."""
        if self.parent_id is not None:
            links = {name: _cautious(row) for name, row in self.rows.items()}
            return walk(self.parent_id, links, self.channels)
        target = self.rows.get(self.target.checkpoint_id)
        links = {name: row.link for name, row in self.rows.items()}
        return walk("" if target is None else target.link.parent_id, links, self.channels)

    def lowest(self) -> str:
        """The least id that was asked for: of what lies below, Kusto may have a later copy.

        The query ends at the nearest rows that hold all channels, if there are some for each.
        """
        below = {item: row for item, row in self.rows.items() if item < self.target.checkpoint_id}
        held = {channel for row in below.values() for channel in row.link.holds}
        return min(below) if below and not self.whole and held.issuperset(self.channels) else ""

    def correct(self, checkpoint_id: str, channel: str) -> None:
        """Note that a checkpoint has no value of a channel: its name stood elsewhere in the row."""
        row = self.rows[checkpoint_id]
        link = replace(row.link, holds=row.link.holds - {channel})
        self.rows[checkpoint_id] = replace(row, link=link)

    def begin(self, checkpoint_id: str, channels: Collection[str]) -> None:
        """Note that some channels had never been written when a checkpoint was put."""
        row = self.rows[checkpoint_id]
        link = replace(row.link, begins=row.link.begins.union(channels))
        self.rows[checkpoint_id] = replace(row, link=link)

    def since(self, path: Walk, now: int) -> dict[str, int]:
        """For each channel when the oldest part was ingested that it is rebuilt from."""
        return {
            channel: min((self.rows[name].ingested for name in span), default=now)
            for channel, span in path.spans.items()
        }


def _cautious(row: Ancestor) -> Link:
    """What a walk believes that verifies nothing: rather an ancestor too many than one too few."""
    holds = frozenset() if row.spilled else row.link.holds
    return replace(row.link, holds=holds, begins=row.unwritten)


def groups(names: Sequence[str], count: int = _kql.HISTORY_CHANNELS) -> Iterator[list[str]]:
    """Cut channels or ids, which may be long, into what one query can ask for."""
    group: list[str] = []
    size = 0
    for name in names:
        chars = len(to_item(name)) + 1
        if group and (len(group) == count or size + chars > _GROUP_CHARS):
            yield group
            group, size = [], 0
        group.append(name)
        size += chars
    if group:
        yield group


async def find_path(core: Core, chain: Chain) -> Walk:
    """Walk, loading the chain: first what a thread without forks needs, then all of it."""
    if not chain.rows:
        await _load(core, chain)
    found = chain.walk()
    if found.missing and not chain.whole:
        chain.whole = True
        await _load(core, chain)
        found = chain.walk()
    return found


def range_parameters(target: CheckpointKey, channels: Sequence[str]) -> dict[str, str | int]:
    """What queries are told about channels of a namespace."""
    return {
        "p_thread": target.thread_id,
        "p_ns": target.checkpoint_ns,
        "p_channels": ",".join(to_item(channel) for channel in channels),
    }


async def _load(core: Core, chain: Chain) -> None:
    target = chain.target
    view = chain.view(core)
    parameters: dict[str, str | int] = {
        **range_parameters(target, chain.channels),
        **deaths_parameters(view),
        "p_target": target.checkpoint_id,
        "p_whole": f"bool({str(chain.whole).lower()})",
        "p_below": "",
    }
    for number, channel in enumerate(chain.channels):
        parameters[f"p_mark{number}"] = value_mark(channel)
        parameters[f"p_name{number}"] = channel
    text = _kql.history_chain(len(chain.channels))
    while True:
        rows, sums, moments, stones = await core.query(text, parameters)
        chain.learn(core, stones)
        weights = {record["checkpoint_id"]: record for record in sums.records()}
        for record in moments.records():
            chain.landed[record["checkpoint_id"]] = parse_ticks(record["ingested"])
        records = rows.records()
        for record in records:
            checkpoint_id = record["checkpoint_id"]
            found = _ancestor_from_record(chain, record, weights.get(checkpoint_id, {}))
            chain.rows.setdefault(checkpoint_id, found)
        if len(records) < _kql.HISTORY_ROWS:
            break
        parameters["p_below"] = records[-1]["checkpoint_id"]
    low = chain.lowest()
    for row in view.without(chain.deaths).checkpoints:
        key = row.key
        if key.checkpoint_ns == target.checkpoint_ns and key.checkpoint_id >= low:
            _add_own(chain, row)


def _ancestor_from_record(
    chain: Chain, record: Mapping[str, Any], weight: Mapping[str, Any]
) -> Ancestor:
    checkpoint_id = record["checkpoint_id"]
    holds = _numbered(chain, record["holds"])
    where = f"checkpoint {checkpoint_id!r} of thread {chain.target.thread_id!r}"
    ingested = parse_ticks(record["ingested"])
    return Ancestor(
        link=Link(record["parent_checkpoint_id"], frozenset(holds)),
        submission_id=record["submission_id"],
        written_at=parse_ticks(record["written_at"]),
        ingested=min(ingested, chain.landed.get(checkpoint_id, ingested)),
        refs=_refs_of(record["refs"], holds, where),
        unwritten=frozenset(
            channel for channel in _numbered(chain, record["begins"]) if len(channel) <= _NAME_CHARS
        ),
        spilled=record["spilled"],
        write_rows=weight.get("row_count", 0),
        write_bytes=weight.get("all_bytes", 0),
    )


def _refs_of(
    cell: str, channels: Iterable[str], where: str
) -> Mapping[str, BlobRef] | CorruptValueError:
    try:
        found = {channel: ref_of_channel(cell, channel, where) for channel in channels}
    except CorruptValueError as error:
        return error
    return {channel: ref for channel, ref in found.items() if ref is not None}


def _numbered(chain: Chain, numbers: str) -> list[str]:
    return [chain.channels[int(number)] for number in numbers.split(",") if number]


def _add_own(chain: Chain, row: StoredCheckpoint) -> None:
    """Add a row of the overlay, unless Kusto shows a later copy.

    A later copy of a checkpoint does not make the writes to it younger.
    """
    checkpoint_id = row.key.checkpoint_id
    known = chain.rows.get(checkpoint_id)
    if known is not None and (known.written_at, known.submission_id) >= row.order:
        return
    spilled = isinstance(row.inline, BlobRef) or isinstance(row.blobs, BlobRef)
    held = {
        channel
        for channel in chain.channels
        if spilled or channel in {**_mapping(row.inline), **_mapping(row.blobs)}
    }
    needed = {**row.bases, **_mapping(row.blobs)}
    refs = {channel: ref for channel, ref in needed.items() if channel in held}
    ingested = min(row.written_at, chain.landed.get(checkpoint_id, row.written_at))
    chain.rows[checkpoint_id] = Ancestor(
        link=Link(row.parent_checkpoint_id, frozenset(held)),
        submission_id=row.submission_id,
        written_at=row.written_at,
        ingested=ingested if known is None else min(ingested, known.ingested),
        refs=refs,
        spilled=spilled,
        write_rows=0 if known is None else known.write_rows,
        write_bytes=0 if known is None else known.write_bytes,
    )


def _mapping(part: Mapping[str, Any] | BlobRef) -> Mapping[str, Any]:
    return {} if isinstance(part, BlobRef) else part

"""The reference: what a store of checkpoints shows after a sequence of calls.

Written from the rules of deleting (epochs, runs, checkpoints), of pending writes and of lists, with
a number that counts calls instead of clocks. It imports nothing of the library, keeps everything in
lists, and looks at all of it for each question.

Rules:
- A checkpoint without a parent starts an epoch; every other one has the epoch of its parent, the
  first of a subgraph that of the checkpoint around it. A call of `put_writes` has the epoch of its
  checkpoint; when its saver never saw that, the one it last saw in the thread and has not heard to
  be dead, or none if it saw another one there, too, that it has not heard to be dead; else the one
  it finds; else none.
- What a saver last saw of an id is what that id means to it; what it never saw it asks for, and
  finds what lives before what is dead.
- Deleting a thread kills the epochs that live; what has such an epoch is dead for ever. Deleting a
  run kills it in the threads it has written to, for ever. Deleting a checkpoint kills what was
  stored of it so far.
- A write without an epoch is dead when its checkpoint has a copy in a dead epoch.
- Of the living copies of a checkpoint the last one counts. Of the living writes of a task to an
  index the first one counts, of a special channel the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SPECIAL = {"__error__": -1, "__scheduled__": -2, "__interrupt__": -3, "__resume__": -4}


class Key(NamedTuple):
    """What names a checkpoint."""

    thread: str
    namespace: str
    id: str


@dataclass(frozen=True)
class Copy:
    """One stored checkpoint."""

    key: Key
    parent: str | None
    epoch: int
    run: str
    body: Mapping[str, Any]
    values: Mapping[str, Any]
    metadata: Mapping[str, Any]
    at: int


@dataclass(frozen=True)
class Write:
    """One pending write."""

    task: str
    path: str
    index: int
    channel: str
    value: Any
    run: str


@dataclass(frozen=True)
class Call:
    """One call of `put_writes`."""

    key: Key
    epoch: int | None
    run: str
    writes: tuple[Write, ...]
    at: int


@dataclass(frozen=True)
class Shown:
    """What a reader gets of a checkpoint."""

    key: Key
    parent: str | None
    body: Mapping[str, Any]
    values: Mapping[str, Any]
    metadata: Mapping[str, Any]
    writes: tuple[tuple[str, str, Any], ...]


@dataclass(frozen=True)
class Range:
    """What a list ranges over; None is all."""

    thread: str | None = None
    namespace: str | None = None
    id: str | None = None
    filter: Mapping[str, Any] | None = None
    before: str | None = None
    limit: int | None = None


class BrokenHistoryError(Exception):
    """The checkpoint, or an ancestor that it needs, is not there; `deleted` when it once was."""

    def __init__(self, *, deleted: bool) -> None:
        super().__init__()
        self.deleted = deleted


@dataclass
class Reference:
    """The store, and what each saver has seen of it."""

    copies: list[Copy] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    dead_epochs: set[int] = field(default_factory=set)
    dead_runs: set[tuple[str, str]] = field(default_factory=set)
    dead_checkpoints: dict[tuple[Key, int], int] = field(default_factory=dict)
    known: dict[str, dict[Key, int]] = field(default_factory=dict)
    used: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    heard: dict[str, set[int]] = field(default_factory=dict)
    now: int = 0
    _walked_to: Key | None = None

    def tick(self) -> int:
        """The next number."""
        self.now += 1
        return self.now

    # -- what savers have seen -------------------------------------------------------------------

    def forget(self, saver: str) -> None:
        """A saver starts again, knowing nothing."""
        self.known.pop(saver, None)
        self.heard.pop(saver, None)
        self.used = {place: epochs for place, epochs in self.used.items() if place[0] != saver}

    def looked(self, saver: str) -> None:
        """A saver has listed everything; it knows now what is dead."""
        for shown in self.list(Range()):
            self.saw(saver, shown.key)
        self.heard[saver] = set(self.dead_epochs)

    def saw(self, saver: str, key: Key, epoch: int | None = None) -> None:
        """A saver has seen a checkpoint."""
        if epoch is None:
            found = self.living().get(key)
            if found is None:
                return
            epoch = found.epoch
        self.known.setdefault(saver, {})[key] = epoch
        others = [one for one in self.used.get((saver, key.thread), ()) if one != epoch]
        self.used[saver, key.thread] = (epoch, *others[:3])

    def _epoch_of(self, saver: str, key: Key) -> int | None:
        known = self.known.get(saver, {}).get(key)
        if known is not None:
            return known
        epochs = [copy.epoch for copy in self.copies if copy.key == key]
        alive = [epoch for epoch in epochs if epoch not in self.dead_epochs]
        if not epochs:
            return None
        self.saw(saver, key, (alive or epochs)[-1])
        return (alive or epochs)[-1]

    # -- writing ---------------------------------------------------------------------------------

    def put(
        self,
        saver: str,
        key: Key,
        parent: str | None,
        around: Mapping[str, str],
        run: str,
        body: Mapping[str, Any],
        values: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        """Store a checkpoint; `around` names the checkpoints of the enclosing graphs."""
        origin: Key | None = None
        if parent is not None:
            origin = key._replace(id=parent)
        elif key.namespace and around:
            nearest = max(around, key=len)
            origin = Key(key.thread, nearest, around[nearest])
        epoch = None if origin is None else self._epoch_of(saver, origin)
        if epoch is None:
            epoch = self.tick()
        self.copies.append(Copy(key, parent, epoch, run, body, values, metadata, self.tick()))
        self.saw(saver, key, epoch)

    def put_writes(
        self,
        saver: str,
        key: Key,
        run: str,
        writes: Iterable[tuple[str, Any]],
        task: str,
        path: str,
    ) -> None:
        """Store the writes of a task."""
        stored = tuple(
            Write(task, path, SPECIAL.get(channel, position), channel, value, run)
            for position, (channel, value) in enumerate(writes)
        )
        if stored:
            epoch = self._epoch_of_writes(saver, key)
            self.calls.append(Call(key, epoch, run, stored, self.tick()))

    def _epoch_of_writes(self, saver: str, key: Key) -> int | None:
        known = self.known.get(saver, {}).get(key)
        used, heard = self.used.get((saver, key.thread), ()), self.heard.get(saver, set())
        if known is not None or not used or used[0] in heard:
            return self._epoch_of(saver, key)
        return used[0] if heard.issuperset(used[1:]) else None

    # -- what lives ------------------------------------------------------------------------------

    def _lives(self, copy: Copy) -> bool:
        return (
            copy.epoch not in self.dead_epochs
            and (copy.key.thread, copy.run) not in self.dead_runs
            and copy.at > self.dead_checkpoints.get((copy.key, copy.epoch), 0)
        )

    def living_copies(self, thread: str | None = None) -> list[Copy]:
        """All copies that live."""
        return [
            copy for copy in self.copies if thread in (None, copy.key.thread) and self._lives(copy)
        ]

    def living(self, thread: str | None = None) -> dict[Key, Copy]:
        """The copy that counts of each checkpoint."""
        return {copy.key: copy for copy in self.living_copies(thread)}

    def writes_of(self, key: Key) -> list[Write]:
        """The pending writes of a checkpoint that count, in order."""
        haunted = any(copy.key == key and copy.epoch in self.dead_epochs for copy in self.copies)
        ends = [at for (dead, _), at in self.dead_checkpoints.items() if dead == key]
        counting: dict[tuple[str, int], Write] = {}
        for call in self.calls:
            if call.key != key or (key.thread, call.run) in self.dead_runs:
                continue
            if call.epoch is None:
                dead = haunted or call.at <= max(ends, default=0)
            else:
                end = self.dead_checkpoints.get((key, call.epoch), 0)
                dead = call.epoch in self.dead_epochs or call.at <= end
            if dead:
                continue
            for write in call.writes:
                slot = (write.task, write.index)
                if write.index < 0 or slot not in counting:
                    counting[slot] = write
        return sorted(counting.values(), key=lambda write: (write.path, write.task, write.index))

    # -- reading ---------------------------------------------------------------------------------

    def show(self, copy: Copy) -> Shown:
        """What a reader gets of a copy that counts."""
        writes = tuple((item.task, item.channel, item.value) for item in self.writes_of(copy.key))
        return Shown(copy.key, copy.parent, copy.body, copy.values, copy.metadata, writes)

    def newest(self, thread: str, namespace: str) -> Copy | None:
        """The checkpoint with the greatest id."""
        found = [copy for key, copy in self.living(thread).items() if key.namespace == namespace]
        return max(found, key=lambda copy: copy.key.id, default=None)

    def get(self, thread: str, namespace: str, checkpoint_id: str | None) -> Shown | None:
        """One checkpoint, the newest without an id."""
        if checkpoint_id is None:
            copy = self.newest(thread, namespace)
        else:
            copy = self.living(thread).get(Key(thread, namespace, checkpoint_id))
        return None if copy is None else self.show(copy)

    def list(self, scope: Range) -> list[Shown]:
        """Checkpoints, the greatest id first; equal ids by thread and namespace."""
        found = sorted(
            (
                copy
                for key, copy in self.living(scope.thread).items()
                if scope.namespace in (None, key.namespace)
                and scope.id in (None, key.id)
                and (scope.before is None or key.id < scope.before)
                and (not scope.filter or holds(copy.metadata, scope.filter))
            ),
            key=lambda copy: (copy.key.thread, copy.key.namespace),
        )
        found.sort(key=lambda copy: copy.key.id, reverse=True)
        if scope.limit is not None:
            found = found[: max(scope.limit, 0)]
        return [self.show(copy) for copy in found]

    def history(
        self, target: Key | None, channels: Sequence[str]
    ) -> dict[str, tuple[list[tuple[str, str, Any]], list[Any]]]:
        """For each channel the writes since the nearest value, oldest first, and that value."""
        stored = {copy.key for copy in self.copies}
        if target in stored and target not in self.living():
            raise BrokenHistoryError(deleted=True)
        spans, seeds = self._walk(target, channels)
        if target is not None and None in (key for span in spans.values() for key in span):
            versions = self.living()[target].body["channel_versions"]
            written = [name for name in channels if name in versions or not versions]
            if len(written) == len(channels):
                raise BrokenHistoryError(deleted=self._walked_to in stored)
            rest = self.history(target, written)
            return {channel: rest.get(channel, ([], [])) for channel in channels}
        return {
            channel: (
                [
                    (write.task, write.channel, write.value)
                    for key in reversed(span)
                    if key is not None
                    for write in self.writes_of(key)
                    if write.channel == channel
                ],
                seeds[channel],
            )
            for channel, span in spans.items()
        }

    def _walk(
        self, target: Key | None, channels: Sequence[str]
    ) -> tuple[dict[str, list[Key | None]], dict[str, list[Any]]]:
        """Follow parents; None in a span is an ancestor that is not there."""
        living = {} if target is None else self.living(target.thread)
        spans: dict[str, list[Key | None]] = {channel: [] for channel in channels}
        seeds: dict[str, list[Any]] = {channel: [] for channel in channels}
        start = None if target is None else living.get(target)
        for channel in channels:
            cursor = None if start is None else start.parent
            visited: set[Key] = set()
            while cursor is not None and start is not None:
                key = start.key._replace(id=cursor)
                if key in visited:
                    break
                visited.add(key)
                if key not in living:
                    if not self._begins(channel, spans[channel], living):
                        self._walked_to = key
                        spans[channel].append(None)
                    break
                spans[channel].append(key)
                if channel in living[key].values:
                    seeds[channel].append(living[key].values[channel])
                    break
                cursor = living[key].parent
        return spans, seeds

    @staticmethod
    def _begins(channel: str, span: Sequence[Key | None], living: Mapping[Key, Copy]) -> bool:
        """Whether a channel had never been written when the last checkpoint of a span was put."""
        last = span[-1] if span else None
        versions = {} if last is None else living[last].body["channel_versions"]
        return bool(versions) and channel not in versions

    # -- deleting, copying, pruning --------------------------------------------------------------

    def delete_thread(self, thread: str) -> None:
        """Kill every epoch of a thread."""
        self.dead_epochs |= {copy.epoch for copy in self.copies if copy.key.thread == thread}

    def delete_runs(self, runs: Iterable[str]) -> None:
        """Kill runs in the threads they have written to."""
        stored: list[Copy | Call] = [*self.copies, *self.calls]
        wanted = set(runs)
        self.dead_runs |= {(item.key.thread, item.run) for item in stored if item.run in wanted}

    def delete_checkpoint(self, key: Key) -> bool:
        """Kill what was stored of a checkpoint that lives; tell whether it did."""
        return self._bury(copy for copy in self.living_copies(key.thread) if copy.key == key)

    def _bury(self, copies: Iterable[Copy]) -> bool:
        dead = list(copies)
        self.dead_checkpoints |= {(copy.key, copy.epoch): self.now for copy in dead}
        return bool(dead)

    def copy_thread(self, saver: str, source: str, target: str) -> None:
        """Copy what counts of a thread, under an epoch of its own."""
        epoch = self.tick()
        for copy in sorted(self.living(source).values(), key=lambda copy: copy.key.id):
            self.saw(saver, copy.key)
            writes = self.writes_of(copy.key)
            key = copy.key._replace(thread=target)
            self.copies.append(
                Copy(
                    key,
                    copy.parent,
                    epoch,
                    copy.run,
                    copy.body,
                    copy.values,
                    copy.metadata,
                    self.tick(),
                )
            )
            self.saw(saver, key, epoch)
            for write in writes:
                self.calls.append(Call(key, epoch, write.run, (write,), self.tick()))

    def prune(self, thread: str, strategy: str, *, dry_run: bool) -> tuple[str, int, int]:
        """Keep the newest of each namespace with the ancestors it needs; give (thread, kept, dead).

        Ancestors are needed by the channels that the metadata counts updates of (where it counts
        none, that of the nearest ancestor that does), unless the newest has their value itself.
        """
        living = self.living(thread)
        if strategy == "delete":
            if not dry_run:
                self.delete_thread(thread)
            return thread, 0, len(living)
        kept: set[Key | None] = set()
        for namespace in {key.namespace for key in living}:
            head = self.newest(thread, namespace)
            if head is None:
                continue
            counted = self._counted(head, living)
            wanted = [channel for channel in counted if channel not in head.values]
            spans, seeds = self._walk(head.key, wanted)
            for channel in wanted:
                written = any(
                    write.channel == channel
                    for key in spans[channel]
                    if key is not None
                    for write in self.writes_of(key)
                )
                versions = head.body["channel_versions"]
                if not written and not seeds[channel] and versions and channel not in versions:
                    spans[channel] = []  # was never written: needs nothing
            kept |= {head.key, *(key for span in spans.values() for key in span)}
        kept.discard(None)
        if not dry_run:
            self._bury(copy for copy in self.living_copies(thread) if copy.key not in kept)
        return thread, len(kept), len(living.keys() - kept)

    def _counted(self, head: Copy, living: Mapping[Key, Copy]) -> Iterable[str]:
        visited: set[Key] = set()
        cursor: Copy | None = head
        while cursor is not None and cursor.key not in visited:
            visited.add(cursor.key)
            counters: dict[str, Any] = cursor.metadata.get("counters_since_delta_snapshot") or {}
            if counters:
                return counters
            cursor = living.get(head.key._replace(id=cursor.parent or ""))
        return ()


def holds(value: Any, wanted: Any) -> bool:
    """Whether JSON contains JSON, as Postgres' `@>` has it."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return False
        return all(name in value and holds(value[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        return isinstance(value, list) and all(
            any(holds(item, each) for item in value) for each in wanted
        )
    plain = (bool, type(None))
    if isinstance(value, plain) or isinstance(wanted, plain):
        return value is wanted
    if isinstance(value, str) != isinstance(wanted, str):
        return False
    return bool(value == wanted)

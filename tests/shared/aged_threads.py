"""A thread with delta channels as LangGraph writes it, and what it must give back at any age.

Beside the library: what is expected is worked out from what was put, never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .ageing import Advance
from .threads import config_of, new_checkpoint, new_id, noise

Write = tuple[str, Any]
"""Channel and value."""


@dataclass
class Aged:
    """One checkpoint that was put."""

    checkpoint_id: str
    parent: Aged | None
    values: dict[str, Any]
    versions: dict[str, int]
    day: float
    calls: dict[str, list[Write]] = field(default_factory=dict)
    """The writes of each task, in the order of the tasks."""

    def history(self, channel: str) -> dict[str, Any]:
        """What a delta channel is rebuilt from."""
        writes: list[list[tuple[str, str, Any]]] = []
        cursor = self.parent
        while cursor is not None:
            found = [
                (task, name, value)
                for task in sorted(cursor.calls)
                for name, value in cursor.calls[task]
                if name == channel
            ]
            writes.append(found)
            if channel in cursor.values:
                break
            cursor = cursor.parent
        oldest_first = [write for found in reversed(writes) for write in found]
        if cursor is None:
            return {"writes": oldest_first}
        return {"writes": oldest_first, "seed": cursor.values[channel]}


class AgedThread:
    """One namespace of a thread; the day is told by the test."""

    def __init__(
        self,
        thread_id: str,
        deltas: Sequence[str],
        checkpoint_ns: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.thread_id = thread_id
        self.checkpoint_ns = checkpoint_ns
        self.deltas = tuple(deltas)
        self.metadata = dict(metadata or {})
        self.puts: list[Aged] = []

    @property
    def newest(self) -> Aged:
        return self.puts[-1]

    def config(self, aged: Aged | None = None) -> Any:
        return config_of(
            self.thread_id, self.checkpoint_ns, None if aged is None else aged.checkpoint_id
        )

    async def write(self, saver: Any, aged: Aged, *writes: Write) -> None:
        """Pending writes of one more task."""
        task = f"task{len(aged.calls):03}"
        await saver.aput_writes(self.config(aged), list(writes), task, "~a")
        aged.calls[task] = list(writes)

    async def put(
        self,
        saver: Any,
        day: float,
        parent: Aged | None = None,
        snapshots: Sequence[str] = (),
        **plain: Any,
    ) -> Aged:
        """Put a child of a checkpoint, of the newest by default.

        Plain values that are the parent's own objects did not change; of delta channels only those
        in `snapshots` have a value.
        """
        if parent is None and self.puts:
            parent = self.newest
        before = {} if parent is None else parent.versions
        values = {**plain, **{name: [name, f"day {day}"] for name in snapshots}}
        written = {name for calls in _calls(parent) for name, _ in calls}
        changed = written | {
            name for name in values if parent is None or parent.values.get(name) is not values[name]
        }
        versions = {**before, **{name: before.get(name, 0) + 1 for name in changed}}
        counted = {name: [1, 2] for name in self.deltas if name not in snapshots}
        checkpoint = new_checkpoint(values, versions, new_id())
        metadata = {"source": "loop", "step": len(self.puts), **self.metadata}
        if counted:
            metadata["counters_since_delta_snapshot"] = counted
        config = self.config() if parent is None else self.config(parent)
        new_versions = {name: versions[name] for name in changed}
        await saver.aput(config, checkpoint, metadata, new_versions)
        aged = Aged(checkpoint["id"], parent, values, versions, day)
        self.puts.append(aged)
        return aged

    def within(self, day: float, days: float) -> list[Aged]:
        """What was put in the last so many days."""
        return [aged for aged in self.puts if day - aged.day < days]

    async def check(self, saver: Any, aged: Aged) -> None:
        """One checkpoint is whole: its values, its pending writes, its history."""
        found = await saver.aget_tuple(self.config(aged))
        assert found is not None, f"{aged.checkpoint_id} is gone"
        assert found.checkpoint["channel_values"] == aged.values
        expected = [(task, *write) for task in sorted(aged.calls) for write in aged.calls[task]]
        assert found.pending_writes == expected
        channels = [
            name for name in self.deltas if name in aged.versions and name not in aged.values
        ]
        if channels:
            history = await saver.aget_delta_channel_history(
                config=self.config(aged), channels=channels
            )
            assert history == {name: aged.history(name) for name in channels}

    async def check_newest(self, saver: Any) -> None:
        """The newest is the newest, and whole."""
        found = await saver.aget_tuple(self.config())
        assert found is not None
        assert found.checkpoint["id"] == self.newest.checkpoint_id
        await self.check(saver, self.newest)


def _calls(aged: Aged | None) -> list[list[Write]]:
    return [] if aged is None else list(aged.calls.values())


async def old_thread(saver: Any, advance: Advance, **more: Any) -> AgedThread:
    """Four checkpoints with writes, 31 days old."""
    thread = AgedThread("old", ["messages"], **more)
    document = noise(50_000)
    for number in range(4):
        await thread.put(saver, 0, document=document)
        await thread.write(saver, thread.newest, ("messages", number))
    advance(31)
    return thread

"""What is sent again is the same rows: dead where they were deleted, and never a part of a put.

By clocks that are set forward; see `test_renewal.py` for the threads that live on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shared.aged_threads import AgedThread, old_thread
from shared.ageing import Advance, row_count
from shared.places import Place, query
from shared.threads import config_of, listed_ids, new_checkpoint, new_id, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto._core import Core
from langgraph.checkpoint.kusto.errors import ClusterUnreachableError, PartsLostError

pytestmark = [pytest.mark.local_only, pytest.mark.timeout(300)]

MakeSaver = Callable[..., AsyncKustoSaver]
LARGE = noise(50_000)


# ------------------------------------------------------------------------------- the same rows


async def test_a_renewed_row_is_the_same_row(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    saver = async_saver()
    names = ["messages", 'x":["', "\N{GRINNING FACE}"]
    thread = AgedThread("same", names, metadata={"run_id": "run1", "deep": {"a": [1, 2.5, None]}})
    for number in range(3):
        await thread.put(saver, 0, document=LARGE, small=number)
        await thread.write(saver, thread.newest, (names[number], noise(2_000_000, number)))
    before = {name: cells_of(place, name) for name in ALL_COLUMNS}
    advance(31)
    await thread.put(async_saver(), 31, document=LARGE)
    for name, cells in before.items():
        after = cells_of(place, name)
        for identity, row in cells.items():
            assert after[identity] == row | {"landings": 2}
    await thread.check_newest(async_saver())


ALL_COLUMNS = {
    "Checkpoints": ["submission_id"],
    "CheckpointWrites": ["submission_id", "submission_row"],
    "CheckpointBlobs": ["blob_id", "chunk"],
}


def cells_of(place: Place, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Every row by its identity, with all cells as text; the same cells twice are two landings."""
    identity = ALL_COLUMNS[table]
    columns = query(place, f"{table} | getschema | project ColumnName")
    names = [row["ColumnName"] for row in columns]
    cells = ", ".join(f"{name} = tostring({name})" for name in names)
    rows = query(
        place, f"{table} | project {cells} | summarize landings = count() by {', '.join(names)}"
    )
    found = {tuple(row[name] for name in identity): row for row in rows}
    assert len(found) == len(rows), "two versions of one row"
    return found


async def test_spilled_parts_are_renewed_too(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    """A list of references so long that it is a blob itself, and metadata of a megabyte.

    Such a row does not say what it holds: it must not count as one with a value of the channel.
    """
    saver = async_saver()
    metadata = {"big": noise(700_000).hex()}
    thread = AgedThread("spilled", ["messages"], metadata=metadata)
    await thread.put(saver, 0, None, ["messages"])
    await thread.write(saver, thread.newest, ("messages", 0))
    many = {f"channel {number:05} {'x' * 200}": noise(2_000, number) for number in range(1_100)}
    await thread.put(saver, 0, **many)
    spilled = (
        "Checkpoints | where blob_refs !contains '\"values\"' and blob_refs contains '\"refs\"'"
    )
    assert row_count(place, spilled) == 1
    thread.metadata = {}
    for number in range(1, 5):
        await thread.write(saver, thread.newest, ("messages", number))
        advance(40)
        await thread.put(async_saver(), number * 40)
        await thread.check_newest(async_saver())
    for aged in thread.puts:
        await thread.check(async_saver(), aged)


# ------------------------------------------------------------------------------- failures


async def test_a_renewal_that_fails_fails_the_put(
    place: Place, async_saver: MakeSaver, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await old_thread(async_saver(), advance)
    rows = row_count(place, "Checkpoints")
    writer = async_saver()
    send_again = Core.send_again

    async def failing(self: Core, table: str, size_bytes: int, read: Any) -> int:
        raise ClusterUnreachableError("cut")

    monkeypatch.setattr(Core, "send_again", failing)
    with pytest.raises(ClusterUnreachableError, match="cut"):
        await thread.put(writer, 31)
    assert row_count(place, "Checkpoints") == rows
    assert len(thread.puts) == 4
    monkeypatch.setattr(Core, "send_again", send_again)
    await thread.put(writer, 31)
    advance(89)
    await thread.check_newest(async_saver())


async def test_a_buffered_put_does_not_wait_for_the_interval(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    thread = await old_thread(async_saver(), advance)
    saver = async_saver(write_mode="buffered", flush_interval=3_600.0)
    await thread.put(saver, 31)
    assert saver.stats()["renewals"] == 1
    await saver.flush()
    advance(89)
    await thread.check_newest(async_saver())


async def test_what_is_gone_already_is_counted_and_said(
    place: Place, async_saver: MakeSaver, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    saver = async_saver()
    thread = AgedThread("gap", ["messages"])
    for number in range(4):
        thread.metadata = {"run_id": f"run{number}"}
        await thread.put(saver, 0)
        await thread.write(saver, thread.newest, ("messages", number))
    await saver.adelete_for_runs(["run1"])
    for number in range(5):
        writer = async_saver()
        thread.metadata = {"run_id": "later"}
        await thread.put(writer, number * 40)
        await thread.put(writer, number * 40)
        assert writer.stats()["missing_ancestors"] == 1
        assert thread.puts[1].checkpoint_id in caplog.text
        with pytest.raises(PartsLostError):
            await thread.check_newest(async_saver())
        assert await async_saver().aget_tuple(thread.config(thread.puts[1])) is None
        advance(40)


# ------------------------------------------------------------------------------- deletes


@pytest.mark.parametrize("moment", [0, 3], ids=["the newest", "the others"])
@pytest.mark.parametrize("way", ["thread", "run", "checkpoint", "prune"])
async def test_a_delete_while_a_renewal_is_under_way_wins(
    place: Place,
    async_saver: MakeSaver,
    advance: Advance,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    moment: int,
) -> None:
    """Rows are read, then deleted, then sent again: they land and stay dead, for years."""
    thread = await old_thread(async_saver(), advance, metadata={"run_id": "run1"})
    dead = [item.checkpoint_id for item in thread.puts]
    send_again = Core.send_again
    deleter = async_saver()
    sent: list[str] = []

    async def delete() -> None:
        if way == "thread":
            await deleter.adelete_thread("old")
        elif way == "run":
            await deleter.adelete_for_runs(["run1"])
        elif way == "checkpoint":
            for item in thread.puts:
                await deleter.adelete_checkpoint(thread.config(item))
        else:
            await deleter.aprune(["old"], strategy="delete")

    async def deleting(self: Core, table: str, size_bytes: int, read: Any) -> int:
        async def read_and_delete() -> Any:
            rows = await read()
            if len(sent) == moment:
                await delete()
            sent.append(table)
            return rows

        return await send_again(self, table, size_bytes, read_and_delete)

    monkeypatch.setattr(Core, "send_again", deleting)
    thread.metadata = {"run_id": "run2"}
    await thread.put(async_saver(), 31)
    newest = ["CheckpointBlobs", "CheckpointWrites", "Checkpoints"]
    others = ["CheckpointWrites", "Checkpoints"] if moment else []
    if way == "run" and not moment:  # the writes were made without naming a run
        others = ["CheckpointWrites"]
    assert sent == newest + others
    for _ in range(10):
        reader = async_saver()
        found = await listed_ids(reader, config_of("old"))
        assert not set(found) & set(dead)
        for item in thread.puts[:4]:
            assert await reader.aget_tuple(thread.config(item)) is None
        living = query(place, "LiveCheckpoints() | project checkpoint_id")
        assert not {row["checkpoint_id"] for row in living} & set(dead)
        advance(100)


async def test_tombstones_outlive_everything(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    """Of a deleted thread, run and checkpoint nothing comes back, though the thread is renewed."""
    first = await old_thread(async_saver(), advance)
    await async_saver().adelete_thread("old")
    thread = AgedThread("old", ["messages"])
    saver = async_saver()
    for number in range(4):
        thread.metadata = {"run_id": "dead" if number == 2 else "kept"}
        await thread.put(saver, 31, None, ["messages"] if number == 3 else ())
        await thread.write(saver, thread.newest, ("messages", number))
    await saver.adelete_for_runs(["dead"])
    await saver.adelete_checkpoint(thread.config(thread.puts[0]))
    dead = {item.checkpoint_id for item in [*first.puts, thread.puts[0], thread.puts[2]]}
    thread.metadata = {"run_id": "kept"}
    for number in range(40):  # four years
        advance(40)
        writer = async_saver()
        await thread.put(writer, 71 + number * 40)
        await thread.check_newest(async_saver())
        found = await listed_ids(async_saver(), config_of("old"))
        assert not dead & set(found)
        assert thread.puts[3].checkpoint_id in found, "the seed, sent again and again"
    assert row_count(place, "CheckpointTombstones") == 3


async def test_a_dead_write_without_an_epoch_is_not_kept_longer_than_writes_are(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    """Its checkpoint was deleted and imported anew; the dead row expires before the write."""
    imported = [new_checkpoint({}, {"messages": 1}, new_id()) for _ in range(2)]
    counted: Any = {"source": "loop", "counters_since_delta_snapshot": {"messages": [1, 1]}}
    configs = [config_of("old", "", checkpoint["id"]) for checkpoint in imported]

    async def import_all(saver: AsyncKustoSaver) -> None:
        for config, checkpoint in zip((config_of("old"), configs[0]), imported, strict=True):
            await saver.aput(config, checkpoint, counted, {"messages": 1})

    # A process that knows nothing of the thread writes before the checkpoint is there.
    await async_saver().aput_writes(configs[0], [("messages", "dead")], "task")
    await import_all(async_saver())
    assert row_count(place, "CheckpointWrites | where epoch == ''") == 1
    advance(0.1)
    await async_saver().adelete_thread("old")
    await import_all(async_saver())
    parent = configs[1]
    for days in (60, 60.5, 40):  # the dead row is kept 120 days, the write 150
        advance(days)
        checkpoint = new_checkpoint({}, {"messages": 1}, new_id())
        writer = async_saver()
        parent = await writer.aput(parent, checkpoint, counted, {})
        assert writer.stats()["renewals"] == 1
    assert row_count(place, "CheckpointWrites") == 0
    reader = async_saver()
    found = await reader.aget_delta_channel_history(config=parent, channels=["messages"])
    assert found == {"messages": {"writes": []}}

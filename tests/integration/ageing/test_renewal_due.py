"""When a renewal is due: by the age of what it would send, and of nothing else.

By clocks that are set forward; see `test_renewal.py` for the threads that live on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest
from shared.aged_threads import AgedThread
from shared.ageing import Advance
from shared.places import Place, command, query
from shared.threads import config_of, new_checkpoint, new_id, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver

pytestmark = [pytest.mark.local_only, pytest.mark.timeout(300)]

MakeSaver = Callable[..., AsyncKustoSaver]


async def put(
    saver: AsyncKustoSaver,
    ids: Sequence[str],
    number: int,
    values: Mapping[str, Any] | None = None,
    channel: str = "messages",
) -> None:
    """Put a checkpoint of a line of ids; without a value, the channel is rebuilt from writes."""
    values = values or {}
    counted = {} if channel in values else {"counters_since_delta_snapshot": {channel: [1, 1]}}
    parent = ids[number - 1] if number else None
    versions = {channel: number + 1, **dict.fromkeys(values, 1)}
    checkpoint = new_checkpoint(values, versions, ids[number])
    metadata: Any = {"source": "loop", "step": number, **counted}
    await saver.aput(config_of("line", "", parent), checkpoint, metadata, dict(versions))


async def history(saver: AsyncKustoSaver, checkpoint_id: str, channel: str = "messages") -> Any:
    config = config_of("line", "", checkpoint_id)
    found = await saver.aget_delta_channel_history(config=config, channels=[channel])
    return found[channel]


# ------------------------------------------------------------------------- ids that are put again


@pytest.mark.parametrize("made_by", ["LangGraph", "others"])
@pytest.mark.parametrize("days", [100, 125])
async def test_ids_that_are_put_again_do_not_make_old_writes_young(
    place: Place, async_saver: MakeSaver, advance: Advance, days: int, made_by: str
) -> None:
    """An import run twice, by a process that did not write them. Rows are kept 120 days."""
    ids = [new_id() for _ in range(4)] if made_by == "LangGraph" else list("1234")

    async def import_again(saver: AsyncKustoSaver) -> None:
        await put(saver, ids, 0, {"messages": ["seed"]})
        await put(saver, ids, 1)

    first = async_saver()
    await import_again(first)
    for number in range(2):
        config = config_of("line", "", ids[number])
        await first.aput_writes(config, [("messages", number)], "task")
    advance(days)
    second = async_saver()
    await import_again(second)
    await put(second, ids, 2)
    assert second.stats()["renewals"] == 2, "the first's writes for the second, then both"
    for aged in (0, 60, 29):  # 89 days after the last put, the writes are older than they are kept
        advance(aged)
        found = await history(async_saver(), ids[2])
        writes = [("task", "messages", number) for number in range(2)]
        assert found == {"seed": ["seed"], "writes": writes}


@pytest.mark.parametrize("values", [{"messages": ["value"]}, {}], ids=["value", "none"])
async def test_an_id_that_is_put_again_does_not_forget_what_was_read_of_it(
    place: Place, async_saver: MakeSaver, advance: Advance, values: dict[str, Any]
) -> None:
    """A value does not make what was written to the checkpoint before any younger either."""
    ids = [new_id() for _ in range(4)]
    first = async_saver()
    await put(first, ids, 0, {"messages": ["seed"]})
    await put(first, ids, 1)
    await first.aput_writes(config_of("line", "", ids[1]), [("messages", "old")], "task")
    advance(100)
    second = async_saver()
    await history(second, ids[1])
    await put(second, ids, 1, values)
    before = second.stats()["renewals"]
    await put(second, ids, 2)
    assert second.stats()["renewals"] == before + 1
    advance(89)
    assert await history(async_saver(), ids[2]) == {
        "seed": values.get("messages", ["seed"]),
        "writes": [("task", "messages", "old")],
    }


async def test_ids_that_tell_no_time_are_asked_for_and_renewed_once(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    saver = async_saver()
    ids = [f"step {number:02}" for number in range(12)]
    for number in range(4):
        await put(saver, ids, number)
        await saver.aput_writes(config_of("line", "", ids[number]), [("messages", number)], "task")
    assert saver.stats()["queries"] == 3, "one for each parent, for each may have had another life"
    advance(31)
    for number in range(4, 8):
        await put(saver, ids, number)
    assert saver.stats()["renewals"] == 1
    advance(89)
    found = await history(async_saver(), ids[7])
    assert [value for _, _, value in found["writes"]] == [0, 1, 2, 3]


# ------------------------------------------------------------------------- what is not sent again


@pytest.mark.parametrize("kind", ["dead run", "torn call", "dead checkpoint"])
@pytest.mark.parametrize("new_process", [True, False])
async def test_what_a_renewal_leaves_alone_makes_none_due(
    place: Place, async_saver: MakeSaver, advance: Advance, kind: str, new_process: bool
) -> None:
    """Rows that nobody reads look old for ever: the thread is renewed once, and not each turn."""
    saver = async_saver()
    thread = AgedThread("thread", ["messages"])
    await thread.put(saver, 0)
    await thread.write(saver, thread.newest, ("messages", 0))
    config: Any = thread.config(thread.newest)
    if kind == "torn call":
        row = {**query(place, "CheckpointWrites")[0], "submission_id": "storn"}
        row |= {"submission_rows": 2}
        command(
            place,
            ".ingest inline into table CheckpointWrites with (format='multijson',"
            f" ingestionMappingReference='CheckpointWrites_v1') <| {orjson.dumps(row).decode()}",
        )
    else:
        doomed = {**config, "metadata": {"run_id": "dead"}}
        await saver.aput_writes(doomed, [("messages", "dead")], "doomed")
        if kind == "dead run":
            await saver.adelete_for_runs(["dead"])
        else:
            await saver.adelete_checkpoint(config)
            thread.puts.clear()
            await thread.put(saver, 0)
            await thread.write(saver, thread.newest, ("messages", 0))
    await thread.put(saver, 0)
    advance(31)
    renewals = 0
    for number in range(4):
        writer = async_saver() if new_process else saver
        await thread.check_newest(writer)
        before = writer.stats()["renewals"]
        await thread.write(writer, thread.newest, ("messages", number + 1))
        await thread.put(writer, 31 + number)
        renewals += writer.stats()["renewals"] - before
        advance(2)
    assert renewals == 1
    await thread.check_newest(async_saver())


# ------------------------------------------------------------------------- names that look alike


@pytest.mark.parametrize(("channel", "other"), [("b", 'a"b'), ("metadata", ""), ("checkpoint", "")])
async def test_a_name_that_looks_like_another_ends_no_way(
    place: Place, async_saver: MakeSaver, advance: Advance, channel: str, other: str
) -> None:
    """Neither the end of a longer name nor a part of the row that spilled is a value."""
    ids = [new_id() for _ in range(3)]
    first = async_saver()
    await put(first, ids, 0, {channel: ["seed"]}, channel)
    await first.aput_writes(config_of("line", "", ids[0]), [(channel, "first")], "task")
    large = noise(600_000).hex()
    metadata: Any = {"counters_since_delta_snapshot": {channel: [1, 1]}, "source": "loop"}
    more: Any = {"note": large} if channel == "checkpoint" else {}
    values = {other: 5} if other else {}
    checkpoint = new_checkpoint(values, {channel: 2, **dict.fromkeys(values, 1)}, ids[1], **more)
    metadata |= {"step": 1, **({"note": large} if channel == "metadata" else {})}
    await first.aput(config_of("line", "", ids[0]), checkpoint, metadata, {channel: 2})
    await first.aput_writes(config_of("line", "", ids[1]), [(channel, "second")], "task")
    if not other:
        [row] = query(place, f"Checkpoints | where blob_refs has_cs '{channel}' | count")
        assert row["Count"] == 1, "that part of the row spilled"
    advance(100)
    await put(async_saver(), ids, 2, channel=channel)
    advance(60)
    assert await history(async_saver(), ids[2], channel) == {
        "seed": ["seed"],
        "writes": [("task", channel, "first"), ("task", channel, "second")],
    }

"""The differences from the Postgres saver that are in what operations do.

Each test is named by a row of docs/contract.md, "Differences from the Postgres saver".
"""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.base import INTERRUPT
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot
from shared.threads import config_of, id_of, listed_ids, new_checkpoint

from langgraph.checkpoint.kusto.errors import (
    InvalidConfigError,
    InvalidOptionError,
    KustoCheckpointError,
    MissingThreadIdError,
    PartsLostError,
)

from .twins import Twins, listed


async def put(saver: Any, config: Any, checkpoint_id: str, metadata: Any = None) -> Any:
    """Put a checkpoint without values."""
    checkpoint = new_checkpoint({}, {}, checkpoint_id)
    return await saver.aput(config, checkpoint, metadata or {}, {})


async def pending(saver: Any, config: Any) -> list[Any]:
    """The pending writes of a checkpoint that must be there."""
    return list((await saver.aget_tuple(config)).pending_writes)


# --------------------------------------------------------------------------------------- configs


def test_a_config_without_a_namespace_means_the_root(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        return await put(saver, config_of(thread_id, None), "x")

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == config_of(thread_id, "", "x")
    assert isinstance(postgres.error, KeyError)


def test_a_config_that_lacks_an_id_says_which(twins: Twins) -> None:
    place = config_of(twins.new_thread())
    kusto, postgres = twins.each(lambda saver: saver.aput_writes(place, [("a", 1)], "t"))
    assert isinstance(kusto.error, InvalidConfigError)
    assert isinstance(postgres.error, KeyError)

    kusto, postgres = twins.each(lambda saver: listed(saver, {"configurable": {}}))
    assert isinstance(kusto.error, MissingThreadIdError)
    assert isinstance(postgres.error, KeyError)


def test_an_empty_config_does_not_list_all_threads(twins: Twins) -> None:
    kusto, postgres = twins.each(lambda saver: listed(saver, {}, limit=1))

    assert isinstance(kusto.error, MissingThreadIdError)
    assert postgres.error is None


# ----------------------------------------------------------------------------------------- lists


def test_a_negative_limit_lists_nothing(twins: Twins) -> None:
    async def work(saver: Any) -> list[str]:
        await put(saver, config_of(thread_id), "x")
        return await listed_ids(saver, config_of(thread_id), limit=-1)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == []
    assert isinstance(postgres.error, pytest.importorskip("psycopg").DataError)


def test_before_without_an_id_is_no_bound(twins: Twins) -> None:
    """As `InMemorySaver` reads it."""

    async def work(saver: Any) -> list[str]:
        await put(saver, config_of(thread_id), "x")
        return await listed_ids(saver, config_of(thread_id), before=config_of(thread_id))

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == ["x"]
    assert postgres.value == []


# ------------------------------------------------------------------------------ putting it again


def test_putting_again_on_another_parent(twins: Twins) -> None:
    async def work(saver: Any) -> str:
        await put(saver, config_of(thread_id, "", "p1"), "x")
        await put(saver, config_of(thread_id, "", "p2"), "x")
        return id_of((await saver.aget_tuple(config_of(thread_id))).parent_config)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert (kusto.value, postgres.value) == ("p2", "p1")


def test_special_writes_among_others(twins: Twins) -> None:
    """The last one counts here, as in `InMemorySaver`; Postgres lets the first stand."""

    async def work(saver: Any) -> list[Any]:
        stored = await put(saver, config_of(thread_id), "x")
        await saver.aput_writes(stored, [(INTERRUPT, 1), ("a", 1)], "t")
        await saver.aput_writes(stored, [(INTERRUPT, 2), ("a", 2)], "t")
        return await pending(saver, stored)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == [("t", INTERRUPT, 2), ("t", "a", 1)]
    assert postgres.value == [("t", INTERRUPT, 1), ("t", "a", 1)]


def test_the_task_path_comes_with_the_write_that_counts(twins: Twins) -> None:
    async def work(saver: Any) -> list[Any]:
        stored = await put(saver, config_of(thread_id), "x")
        await saver.aput_writes(stored, [(INTERRUPT, 1)], "t", "z")
        await saver.aput_writes(stored, [("c", 3)], "u", "m")
        await saver.aput_writes(stored, [(INTERRUPT, 2)], "t", "a")
        return await pending(saver, stored)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == [("t", INTERRUPT, 2), ("u", "c", 3)]
    assert postgres.value == [("u", "c", 3), ("t", INTERRUPT, 2)]


def test_sends_of_checkpoints_before_version_4(twins: Twins) -> None:
    """Only LangGraph before 0.5 left them in its parent's writes, and it never wrote here."""

    async def work(saver: Any) -> Any:
        first = await saver.aput(config_of(thread_id), new_checkpoint({}, {}, "1", v=3), {}, {})
        await saver.aput_writes(first, [(TASKS, "send")], "t")
        old = new_checkpoint({"a": 1}, {"a": 1}, "2", v=3, pending_sends=["kept"])
        found = (await saver.aget_tuple(await saver.aput(first, old, {}, {"a": 1}))).checkpoint
        return found["channel_values"], found["channel_versions"], found["pending_sends"]

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == ({"a": 1}, {"a": 1}, ["kept"])
    assert postgres.value == ({"a": 1, TASKS: ["send"]}, {"a": 1, TASKS: 1}, ["kept"])


# -------------------------------------------------------------------------------------- deleting


def test_a_late_put_does_not_bring_a_thread_back(twins: Twins) -> None:
    async def work(saver: Any) -> list[str]:
        stored = await put(saver, config_of(thread_id), "x")
        await saver.adelete_thread(thread_id)
        await put(saver, stored, "y")
        return await listed_ids(saver, config_of(thread_id))

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == []
    assert postgres.value == ["y"]


def test_writes_before_their_checkpoint_outlive_a_delete(twins: Twins) -> None:
    """Nothing ties them to what was deleted; only a checkpoint of the same id shows them."""

    async def work(saver: Any) -> list[Any]:
        await saver.aput_writes(config_of(thread_id, "", "x"), [("a", 1)], "t")
        await saver.adelete_thread(thread_id)
        return await pending(saver, await put(saver, config_of(thread_id), "x"))

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == [("t", "a", 1)]
    assert postgres.value == []


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("adelete_for_runs", (["run"],)),
        ("acopy_thread", ("source", "target")),
    ],
)
def test_operations_that_postgres_lacks(
    twins: Twins, method: str, arguments: tuple[Any, ...]
) -> None:
    kusto, postgres = twins.each(lambda saver: getattr(saver, method)(*arguments))

    assert kusto.error is None
    assert isinstance(postgres.error, NotImplementedError)


def test_deleting_one_checkpoint(twins: Twins) -> None:
    async def work(saver: Any) -> list[str]:
        first = await put(saver, config_of(thread_id), "1")
        await put(saver, first, "2")
        await saver.adelete_checkpoint(first)
        return await listed_ids(saver, config_of(thread_id))

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == ["2"]
    assert isinstance(postgres.error, AttributeError)


# --------------------------------------------------------------------------------------- pruning


def test_a_pruned_parent_is_still_named(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        first = await put(saver, config_of(thread_id), "1")
        second = await put(saver, first, "2")
        await saver.aprune([thread_id])
        return await saver.aget_tuple(second), await saver.aget_tuple(first)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value[0].parent_config == config_of(thread_id, "", "1")
    assert postgres.value[0].parent_config is None
    assert kusto.value[1] is postgres.value[1] is None


def test_pruning_keeps_the_newest_of_finished_subgraph_calls(twins: Twins) -> None:
    async def work(saver: Any) -> list[str]:
        first = await put(saver, config_of(thread_id), "1")
        await put(saver, config_of(thread_id, "node:call"), "1a", {"parents": {"": "1"}})
        await put(saver, first, "2")
        await saver.aprune([thread_id])
        return await listed_ids(saver, config_of(thread_id, None))

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == ["2", "1a"]
    assert postgres.value == ["2"]


def test_pruning_a_thread_with_delta_channels(twins: Twins) -> None:
    """The ancestors that are needed stay, and with them the history."""

    async def work(saver: Any) -> Any:
        config = config_of(thread_id)
        for step in range(4):
            value = {"d": _DeltaSnapshot([step])} if step == 1 else {}
            checkpoint = new_checkpoint(value, {"d": step + 1}, f"{step}")
            counters = {"counters_since_delta_snapshot": {"d": [step, step]}}
            config = await saver.aput(config, checkpoint, counters, {"d": step + 1})
            await saver.aput_writes(config, [("d", step)], "t")
        await saver.aprune([thread_id])
        history = await saver.aget_delta_channel_history(config=config, channels=["d"])
        return await listed_ids(saver, config_of(thread_id)), history

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == (
        ["3", "2", "1"],
        {"d": {"seed": _DeltaSnapshot([1]), "writes": [("t", "d", 1), ("t", "d", 2)]}},
    )
    assert isinstance(postgres.error, NotImplementedError)


def test_pruning_reports_and_refuses_by_our_errors(twins: Twins) -> None:
    thread_id = twins.new_thread()
    kusto, postgres = twins.each(lambda saver: saver.aprune([thread_id]))
    assert [(done.thread_id, done.kept, done.deleted) for done in kusto.value] == [
        (thread_id, 0, 0)
    ]
    assert postgres.value is None

    kusto, postgres = twins.each(lambda saver: saver.aprune([thread_id], strategy="x"))
    assert isinstance(kusto.error, InvalidOptionError)
    assert isinstance(postgres.error, ValueError)

    kusto, postgres = twins.each(lambda saver: saver.aprune(thread_id))
    assert isinstance(kusto.error, InvalidConfigError)
    assert isinstance(postgres.error, TypeError)


# ------------------------------------------------------------------------------- delta channels


def test_a_history_with_a_missing_ancestor_raises(twins: Twins) -> None:
    """Postgres gives a part of it as if it were all."""

    async def work(saver: Any) -> Any:
        root = await put(saver, config_of(thread_id), "0")
        config = root
        for step in (1, 2):
            checkpoint = new_checkpoint({}, {"d": step}, f"{step}")
            config = await saver.aput(config, checkpoint, {}, {"d": step})
            await saver.aput_writes(config, [("d", step)], "t")
        await take_away(saver, root)
        return await saver.aget_delta_channel_history(config=config, channels=["d"])

    async def take_away(saver: Any, config: Any) -> None:
        if saver is twins.kusto:
            await saver.adelete_checkpoint(config)
        else:
            await saver.conn.execute(
                "DELETE FROM checkpoints WHERE thread_id = %s AND checkpoint_id = '0'", (thread_id,)
            )

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert isinstance(kusto.error, KustoCheckpointError)
    assert postgres.value == {"d": {"writes": [("t", "d", 1)]}}


def test_a_history_of_a_deleted_checkpoint_raises(twins: Twins) -> None:
    """Of one that was never there it is empty, for both."""

    async def work(saver: Any) -> Any:
        stored = await saver.aput(
            config_of(thread_id), new_checkpoint({}, {"d": 1}, "1"), {}, {"d": 1}
        )
        await saver.aput_writes(stored, [("d", "x")], "t")
        await saver.adelete_thread(thread_id)
        never = config_of(thread_id, checkpoint_id="0")
        empty = await saver.aget_delta_channel_history(config=never, channels=["d"])
        assert empty == {"d": {"writes": []}}
        return await saver.aget_delta_channel_history(config=stored, channels=["d"])

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert isinstance(kusto.error, PartsLostError)
    assert postgres.value == {"d": {"writes": []}}


def test_a_history_beyond_what_a_prune_kept_raises(twins: Twins) -> None:
    """Of a channel that was no delta channel when the thread was pruned."""

    async def work(saver: Any) -> Any:
        first = await put(saver, config_of(thread_id), "1")
        second = await put(saver, first, "2")
        await saver.aprune([thread_id])
        return await saver.aget_delta_channel_history(config=second, channels=["d"])

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert isinstance(kusto.error, PartsLostError)
    assert postgres.value == {"d": {"writes": []}}


def test_a_history_follows_parents_whatever_their_ids(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        snapshot = new_checkpoint({"d": _DeltaSnapshot([1])}, {"d": 1}, "5")
        config = await saver.aput(config_of(thread_id), snapshot, {}, {"d": 1})
        await saver.aput_writes(config, [("d", 7)], "t")
        child = await saver.aput(config, new_checkpoint({}, {"d": 2}, "2"), {}, {"d": 2})
        return await saver.aget_delta_channel_history(config=child, channels=["d"])

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == {"d": {"seed": _DeltaSnapshot([1]), "writes": [("t", "d", 7)]}}
    assert postgres.value == {"d": {"writes": []}}


def test_a_stored_none_is_where_a_history_begins(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        none = new_checkpoint({"d": None}, {"d": 1}, "1")
        config = await saver.aput(config_of(thread_id), none, {}, {"d": 1})
        await saver.aput_writes(config, [("d", 7)], "t")
        child = await saver.aput(config, new_checkpoint({}, {"d": 2}, "2"), {}, {"d": 2})
        return await saver.aget_delta_channel_history(config=child, channels=["d"])

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == {"d": {"seed": None, "writes": [("t", "d", 7)]}}
    assert postgres.value == {"d": {"writes": [("t", "d", 7)]}}


# ---------------------------------------------------------------------------------- concurrency


def test_a_list_holds_nothing_while_it_is_consumed(twins: Twins) -> None:
    """The Postgres saver holds the one lock of all its calls, so a call inside would never end."""

    async def work(saver: Any) -> list[Any]:
        place = config_of(thread_id)
        await put(saver, place, "1")
        await put(saver, place, "2")
        inside: list[Any] = []
        async for _ in saver.alist(place):
            if saver is twins.kusto:
                inside.append(await listed_ids(saver, place))
            else:
                inside.append(saver.lock.locked())
        return inside

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == [["2", "1"], ["2", "1"]]
    assert postgres.value == [True, True]

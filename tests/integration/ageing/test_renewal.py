"""Threads older than any retention period: what their living checkpoints need is sent again.

By clocks that are set forward step by step. The local server drops rows to the tick of their age,
as early as Kusto ever may.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest
from langgraph.graph import END, START, StateGraph
from shared.aged_threads import AgedThread
from shared.ageing import Advance, row_count
from shared.places import Place
from shared.threads import Chain, config_of, noise
from typing_extensions import TypedDict

from langgraph.checkpoint.kusto import AsyncKustoSaver

pytestmark = [pytest.mark.local_only, pytest.mark.timeout(300)]

MakeSaver = Callable[..., AsyncKustoSaver]
LIVING_DAYS = 90  # as provisioned: so long a checkpoint can be resumed
LARGE = noise(50_000)


# ------------------------------------------------------------------------------- years


@pytest.mark.parametrize("processes", ["one", "new", "two"])
@pytest.mark.parametrize(("days", "steps"), [(20, 10), (29, 8), (31, 8), (59, 6), (89, 5)])
async def test_a_thread_in_use_keeps_what_its_delta_channels_need(
    place: Place, async_saver: MakeSaver, advance: Advance, days: int, steps: int, processes: str
) -> None:
    """Without any snapshot since the first day, whichever process writes and whichever reads."""
    pair = (async_saver(), async_saver())
    thread = AgedThread("old", ["messages", "notes"])
    for number in range(steps):
        saver = {"one": pair[0], "new": async_saver(), "two": pair[number % 2]}[processes]
        if number:
            await thread.write(saver, thread.newest, ("messages", number), ("large", LARGE))
        await thread.put(saver, number * days, document=LARGE, step=number)
        advance(days)
        for reader in (saver, async_saver()):
            await thread.check_newest(reader)
    now = steps * days
    for aged in thread.within(now, LIVING_DAYS):
        await thread.check(async_saver(), aged)
    assert [len(item.calls) for item in thread.puts[:-1]] == [1] * (steps - 1)


async def test_an_ancestor_too_young_to_be_sent_again_is_not_taken_for_new(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    """It is hours younger than what is sent, and expires before its child, unless it is next."""
    saver = async_saver()
    thread = AgedThread("edge", ["messages"])
    day = 0.0
    for number, days in enumerate((29.9, 0.8, 29.8, 89.6)):
        await thread.put(saver, day)
        if number < 3:
            await thread.write(saver, thread.newest, ("messages", number))
        advance(days)
        day += days
    assert saver.stats()["renewals"] == 2
    await thread.check_newest(async_saver())


async def test_a_thread_used_daily_is_renewed_once_a_month(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    saver = async_saver()
    thread = AgedThread("daily", ["messages"])
    for day in range(200):
        if day:
            await thread.write(saver, thread.newest, ("messages", day))
        await thread.put(saver, day)
        advance(1)
    await thread.check_newest(async_saver())
    assert saver.stats()["renewals"] == 6
    assert saver.stats()["missing_ancestors"] == 0
    # What a day's work is sent again in each renewal, but what is less than a day old.
    assert row_count(place, "Checkpoints") < 5 * 200
    for aged in thread.within(200, LIVING_DAYS)[::10]:
        await thread.check(async_saver(), aged)


@pytest.mark.parametrize("seed", range(6))
async def test_forks_subgraphs_snapshots_and_processes_in_turn(
    place: Place, async_saver: MakeSaver, advance: Advance, seed: int
) -> None:
    """Every checkpoint of the last 90 days is whole, whatever was put since, and by whom."""
    choose = random.Random(seed)
    root = AgedThread("many", ["messages", "large"])
    child = AgedThread("many", ["inner"], "child:1")
    pair = [async_saver(), async_saver()]
    day = 0.0
    document = LARGE
    parents: set[str] = set()
    while day < 400:
        thread = child if root.puts and choose.random() < 0.3 else root
        for some in (root, child):  # none may rest for too long
            if some.puts and day - some.newest.day >= 50:
                thread = some
        saver = choose.choice([*pair, async_saver()])
        living = thread.within(day, LIVING_DAYS)
        parent = choose.choice(living) if living and choose.random() < 0.3 else None
        target = parent or (thread.newest if thread.puts else None)
        if target is not None and target.checkpoint_id not in parents and choose.random() < 0.8:
            value = noise(40_000, seed) if choose.random() < 0.2 else day
            await thread.write(saver, target, (choose.choice(thread.deltas), value))
        if choose.random() < 0.2:
            document = noise(50_000, int(day))
        snapshots = [name for name in thread.deltas if choose.random() < 0.1]
        parents |= {target.checkpoint_id} if target else set()
        await thread.put(saver, day, parent, snapshots, document=document)
        days = choose.choice([0, 0, 1, 20, 29, 31, 40])
        advance(days)
        day += days
        for some in (root, child):
            reader = choose.choice([saver, async_saver()])
            alive = some.within(day, LIVING_DAYS)
            for aged in choose.sample(alive, min(4, len(alive))):
                await some.check(reader, aged)
    for some in (root, child):
        for aged in some.within(day, LIVING_DAYS):
            await some.check(async_saver(), aged)


async def test_a_channel_first_written_when_the_first_steps_are_gone(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    """It has no value in any ancestor, and needs none from before it was written."""
    thread = AgedThread("late", ["messages", "notes"])
    for number in range(10):
        saver = async_saver()
        if number:
            await thread.write(saver, thread.newest, ("messages", number))
        snapshot = ["messages"] if number == 5 else []
        await thread.put(saver, number * 40, None, snapshot)
        advance(40)
    for number in range(10, 16):
        saver = async_saver()
        await thread.write(saver, thread.newest, ("notes", number))
        await thread.put(saver, number * 40)
        assert saver.stats()["missing_ancestors"] == 0
        advance(40)
        for reader in (saver, async_saver()):
            await thread.check_newest(reader)
    gone = thread.puts[0]
    assert await async_saver().aget_tuple(thread.config(gone)) is None
    # `notes` never needed what lies before its first write.
    assert await async_saver().aget_tuple(thread.config(thread.puts[4])) is None
    assert await async_saver().aget_tuple(thread.config(thread.puts[5])) is not None


async def test_a_channel_first_written_after_a_prune(async_saver: MakeSaver, place: Place) -> None:
    saver = async_saver()
    thread = AgedThread("pruned", ["notes"])
    for number in range(3):
        await thread.put(saver, 0, step=number)
    [report] = await saver.aprune(["pruned"])
    assert (report.kept, report.deleted) == (1, 2)
    await thread.write(saver, thread.newest, ("notes", "first"))
    await thread.put(saver, 0)
    for reader in (saver, async_saver()):
        await thread.check_newest(reader)


async def test_a_copy_is_new_and_lives_on_by_itself(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    thread = AgedThread("source", ["messages"])
    for number in range(6):
        saver = async_saver()
        if number:
            await thread.write(saver, thread.newest, ("messages", noise(40_000, number)))
        await thread.put(saver, number * 40, document=LARGE)
        advance(40)
    await async_saver().acopy_thread("source", "target")
    thread.thread_id = "target"
    copied = thread.newest
    for number in range(6, 12):
        saver = async_saver()
        await thread.write(saver, thread.newest, ("messages", number))
        await thread.put(saver, number * 40, document=LARGE)
        advance(40)
        await thread.check_newest(async_saver())
    assert await async_saver().aget_tuple(config_of("source")) is None
    assert await async_saver().aget_tuple(thread.config(copied)) is not None
    [report] = await async_saver().aprune(["target"])
    assert report.deleted == 0, "its channel needs them all"
    await thread.check_newest(async_saver())


# ------------------------------------------------------------------------------- graphs


def extend(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*state, *(item for write in writes for item in write)]


@pytest.mark.parametrize("new_process", [True, False])
@pytest.mark.parametrize(("days", "turns"), [(31, 10), (89, 7)])
async def test_a_graph_with_delta_channels_is_resumed_for_years(
    place: Place, async_saver: MakeSaver, advance: Advance, days: int, turns: int, new_process: bool
) -> None:
    """One of its channels is written for the first time when the first turns are gone."""
    delta = pytest.importorskip(
        "langgraph.channels.delta", reason="this LangGraph has no DeltaChannel"
    )
    channel = delta.DeltaChannel(extend, snapshot_frequency=5_000)
    parts = {
        "messages": Annotated[list[str], channel],
        "notes": Annotated[list[str], channel],
        "turns": Annotated[int, operator.add],
    }
    state: Any = TypedDict("state", parts)  # type: ignore[misc]

    def graph_of(saver: Any) -> Any:
        def step(found: Any) -> Any:
            late = found["turns"] > turns // 2
            notes = {"notes": [f"note {found['turns']}"]} if late else {}
            return {"messages": [f"answer {found['turns']}"], "turns": 1, **notes}

        builder = StateGraph(state)
        builder.add_node("step", step)
        builder.add_edge(START, "step")
        builder.add_edge("step", END)
        return builder.compile(checkpointer=saver)

    saver = async_saver()
    expected: list[str] = []
    notes: list[str] = []
    for turn in range(turns):
        saver = async_saver() if new_process else saver
        result = await graph_of(saver).ainvoke(
            {"messages": [f"question {turn}"], "turns": 0}, config_of("years")
        )
        expected += [f"question {turn}", f"answer {turn}"]
        notes += [f"note {turn}"] if turn > turns // 2 else []
        assert result["messages"] == expected
        advance(days)
        found = await graph_of(async_saver()).aget_state(config_of("years"))
        assert found.values["messages"] == expected
        assert found.values.get("notes", []) == notes
        assert saver.stats()["missing_ancestors"] == 0
    assert notes


# ------------------------------------------------------------------------------- requests


async def test_young_ancestors_cost_no_request(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    first, second = async_saver(), async_saver()
    thread = AgedThread("counted", ["messages", "notes"])
    for number in range(5):
        await thread.put(first, 0)
        await thread.write(first, thread.newest, ("messages", number))
    assert first.stats()["queries"] == 0

    # Another process asks once, for the epoch and for the chain; then it knows.
    for number in range(3):
        await thread.put(second, 0)
        await thread.write(second, thread.newest, ("messages", number))
        assert second.stats()["queries"] == 2

    # One that has read the history, as LangGraph does, knows by that.
    third = async_saver()
    await thread.check_newest(third)
    before = third.stats()["queries"]
    place.server.requests.reset()
    for number in range(3):
        await thread.put(third, 0)
        await thread.write(third, thread.newest, ("messages", number))
    assert third.stats()["queries"] == before
    assert place.server.requests.count("mgmt") == 0

    # Older than a day, and far from expiring: the policies are asked for, once an hour.
    advance(2)
    for _ in range(3):
        await thread.put(third, 2)
    assert place.server.requests.count("mgmt") == 2
    assert third.stats()["queries"] == before
    assert third.stats()["renewals"] == 0


async def test_threads_without_delta_channels_pay_nothing(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    chain = Chain(async_saver(), "plain")
    place.server.requests.reset()
    for number in range(4):
        await chain.step(a=number, large=LARGE if number == 0 else chain.values["large"])
        advance(5)
    stats = chain.saver.stats()
    assert (stats["queries"], stats["renewals"]) == (0, 0)

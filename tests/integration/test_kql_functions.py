"""The stored functions for people who write KQL: what they answer, computed by hand.

Rows come from savers, with a clock of the test's own, and from commands that do what the network
does: rows that landed twice, and calls of which a row is missing. Questions go through Microsoft's
SDK, past the library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from shared.places import Place, asked_seed, command, local_place, query
from shared.threads import Chain, config_of, id_of, new_checkpoint, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, _core
from langgraph.checkpoint.kusto._clock import TICKS_PER_SECOND, parse_ticks

pytestmark = pytest.mark.local_only

START = parse_ticks("2026-03-01T12:00:00Z")
BLOB = noise(90_000)
BLOB_BYTES = 120_000  # base64 makes four of three


class Clock:
    """The savers' present moment, in seconds since noon."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> int:
        return START + round(self.seconds * TICKS_PER_SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_core, "now_ticks", clock)
    return clock


@pytest.fixture(scope="module", params=[asked_seed(), 7], ids=["as asked", "seed 7"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server of this module's own: nothing else writes to it, no request of it fails."""
    with local_place(seed=request.param) as place:
        yield place


@pytest.fixture
def saver(async_saver: Any) -> Any:
    return async_saver()


def ask(place: Place, text: str, *names: str) -> list[tuple[Any, ...]]:
    """Rows of a query, as tuples of some columns."""
    return [tuple(row[name] for name in names) for row in query(place, text)]


def of(thread_id: str) -> str:
    """Rows of one thread."""
    return f"where thread_id == '{thread_id}'"


def send_again(place: Place, table: str, thread_id: str) -> None:
    """Let every row of a thread land once more, as after an answer that was lost."""
    command(place, f".append {table} <| {table} | {of(thread_id)}")


def lose(place: Place, table: str, predicate: str) -> None:
    """Let a row be missing, as it is before the second of two requests has arrived."""
    answer = command(place, f".delete table {table} records <| {table} | where {predicate}")
    assert answer[0]["Details"] == "1 records deleted"


def pending(place: Place, thread_id: str) -> list[tuple[Any, ...]]:
    """The pending writes of a thread: which, how large, written when."""
    text = f"LivePendingWrites() | {of(thread_id)}"
    text += " | extend at = (written_at - datetime(2026-03-01T12:00)) / 1s"
    text += " | sort by checkpoint_id asc, task_path asc, task_id asc, idx asc"
    return ask(place, text, "task_id", "idx", "channel", "value_bytes", "at")


async def agrees(saver: AsyncKustoSaver, place: Place, config: Any) -> bool:
    """Whether the function names the writes that a saver reads, in LangGraph's order."""
    found = await saver.aget_tuple(config)
    assert found is not None
    read = [(task_id, channel) for task_id, channel, _ in found.pending_writes or ()]
    thread_id = found.config["configurable"]["thread_id"]
    where = f"{of(thread_id)} | where checkpoint_id == '{id_of(found.config)}'"
    order = "sort by task_path asc, task_id asc, idx asc"
    text = f"LivePendingWrites() | {where} | {order}"
    return ask(place, text, "task_id", "channel") == read


# ------------------------------------------------------------------------------ LivePendingWrites


async def test_which_writes_win(place: Place, saver: Any, clock: Clock, thread_id: str) -> None:
    chain = Chain(saver, thread_id)
    stored = await chain.step(a=1)
    for at, writes, task in (
        (1, [("x", 1), ("y", "two")], "task-1"),
        (2, [("x", "later"), ("y", "later"), ("z", 3)], "task-1"),
        (3, [("__error__", "boom")], "task-2"),
        (4, [("__error__", "bang!!")], "task-2"),
        (5, [("__interrupt__", "a"), ("__interrupt__", "bbb")], "task-3"),
        (6, [("big", noise(2_000_000))], "task-4"),
    ):
        clock.seconds = at
        await saver.aput_writes(stored, writes, task)
    expected = [
        ("task-1", 0, "x", 1, 1.0),  # the first call
        ("task-1", 1, "y", 4, 1.0),
        ("task-1", 2, "z", 1, 2.0),  # which only the second call has
        ("task-2", -1, "__error__", 7, 4.0),  # the last call
        ("task-3", -3, "__interrupt__", 4, 5.0),  # the last of one call
        ("task-4", 0, "big", 2_000_000, 6.0),  # three rows, one write
    ]

    assert pending(place, thread_id) == expected
    assert await agrees(saver, place, stored)
    for _ in range(2):
        send_again(place, "CheckpointWrites", thread_id)
        assert pending(place, thread_id) == expected


async def test_a_call_of_which_a_row_is_missing_does_not_count(
    place: Place, saver: Any, clock: Clock, thread_id: str, async_saver: Any
) -> None:
    stored = await Chain(saver, thread_id).step(a=1)
    await saver.aput_writes(stored, [("x", 1), ("y", 2), ("z", 3)], "short")
    await saver.aput_writes(stored, [("big", noise(2_000_000))], "cut")
    clock.seconds = 1
    await saver.aput_writes(stored, [("x", "whole")], "short")
    await saver.aput_writes(stored, [("__error__", "whole")], "failed")
    clock.seconds = 2
    await saver.aput_writes(stored, [("__error__", "a"), ("__resume__", "b")], "failed")
    for task, row in (("short", 1), ("cut", 2), ("failed", 1)):
        rows = "submission_rows > 1"
        where = f"thread_id == '{thread_id}' and task_id == '{task}' and {rows}"
        lose(place, "CheckpointWrites", f"{where} and submission_row == {row}")
    # What is there of them twice does not make them whole.
    send_again(place, "CheckpointWrites", thread_id)

    assert pending(place, thread_id) == [
        ("failed", -1, "__error__", 6, 1.0000001),  # the second put of that second
        ("short", 0, "x", 6, 1.0),
    ]
    assert await agrees(async_saver(), place, stored)


async def test_writes_live_and_die_with_their_checkpoint(
    place: Place, saver: Any, clock: Clock, thread_id: str, new_thread: Any
) -> None:
    early = config_of(thread_id, checkpoint_id="2")
    await saver.aput_writes(early, [("x", 1)], "before")
    assert pending(place, thread_id) == []
    config = config_of(thread_id)
    stored = await saver.aput(config, new_checkpoint({}, checkpoint_id="2"), {}, {})
    assert pending(place, thread_id) == [("before", 0, "x", 1, 0.0)]
    await saver.aput_writes(stored, [("x", 1)], "after")
    other = await Chain(saver, new_thread()).step(a=1)
    await saver.aput_writes(other, [("x", 1)], "other")

    await saver.adelete_thread(thread_id)

    assert pending(place, thread_id) == []
    assert await agrees(saver, place, other)
    # The same id in the next life has none of the writes of the first, with or without an epoch.
    again = await saver.aput(config, new_checkpoint({}, checkpoint_id="2"), {}, {})
    assert pending(place, thread_id) == []
    assert await agrees(saver, place, again)


async def test_runs_and_checkpoints_that_were_deleted(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    def of_run(config: Any, run_id: str) -> Any:
        return {**config, "metadata": {"run_id": run_id}}

    def live() -> list[Any]:
        text = f"LiveCheckpoints() | {of(thread_id)} | order by checkpoint_id"
        return [row[0] for row in ask(place, text, "checkpoint_id")]

    config = config_of(thread_id, "", run_id="kept, | @")
    first = await saver.aput(config, new_checkpoint({}, checkpoint_id="1"), {}, {})
    await saver.aput_writes(of_run(first, "gone"), [("x", 1)], "of the run")
    await saver.aput_writes(first, [("x", 1)], "of nobody")
    parent = config_of(thread_id, "", "1", run_id="gone")
    second = await saver.aput(parent, new_checkpoint({}, checkpoint_id="2"), {}, {})
    await saver.aput_writes(second, [("x", 1)], "of the second")
    assert live() == ["2", "1"]

    await saver.adelete_for_runs(["gone"])
    assert live() == ["1"]
    assert [row[0] for row in pending(place, thread_id)] == ["of nobody"]
    assert await agrees(saver, place, first)

    await saver.adelete_checkpoint(first)
    assert live() == []
    assert pending(place, thread_id) == []
    await saver.aput(config, new_checkpoint({}, checkpoint_id="1"), {}, {})
    assert live() == ["1"]
    assert pending(place, thread_id) == []
    await saver.aput_writes(first, [("x", 2)], "again")
    assert [row[0] for row in pending(place, thread_id)] == ["again"]
    assert await agrees(saver, place, first)
    deleted = f"Deletions() | {of(thread_id)} | order by scope"
    found = ask(place, deleted, "scope", "run_id", "checkpoint_id", "reason")
    assert found == [
        ("runs", "gone", "", "delete_for_runs"),
        ("checkpoints", "", "1", "delete_checkpoint"),
    ]


async def test_a_checkpoint_put_again_keeps_the_writes_of_both(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    """Each put without a parent starts an epoch; both copies are alive."""
    config = config_of(thread_id)
    for task in ("one", "two"):
        clock.seconds += 1
        stored = await saver.aput(
            config, new_checkpoint({}, checkpoint_id="1"), {"source": task}, {}
        )
        await saver.aput_writes(stored, [("x", task)], task)
    names = ("checkpoint_id", "source", "epochs")

    (live,) = ask(place, f"LiveCheckpoints() | {of(thread_id)} | order by source", *names)
    assert (live[0], live[1], len(live[2])) == ("1", "two", 2)
    assert [row[0] for row in pending(place, thread_id)] == ["one", "two"]
    assert await agrees(saver, place, stored)


async def test_half_a_tombstone_deletes_nothing(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    """The parts of a delete become visible one by one; until then all of it is alive."""
    stored = await Chain(saver, thread_id).step(a=1)
    await saver.aput_writes(stored, [("__error__", "boom")], "task")
    ((epoch,),) = ask(place, f"LiveCheckpoints() | {of(thread_id)}", "epoch")
    tombstone = (
        f"print thread_id = '{thread_id}', tombstone_id = 'x{thread_id}', scope = 'epochs',"
        f" part = int({{part}}), parts = int(2), ids = '{epoch},e-other', checkpoint_ns = '',"
        " through = datetime(null), reason = 'test', codec = int(1), written_at = now()"
    )
    counts = []
    for part in (0, 0, 1):
        command(place, ".append CheckpointTombstones <| " + tombstone.format(part=part))
        answers = [
            query(place, f"{name}() | {of(thread_id)} | count")[0]["Count"]
            for name in ("LiveCheckpoints", "LivePendingWrites", "FailedTasks")
        ]
        counts.append((*answers, storage(place, thread_id)["s"][0]))

    assert counts == [(1, 1, 1, 1), (1, 1, 1, 1), (0, 0, 0, 0)]


# ----------------------------------------------------------------- FailedTasks and ThreadTimeline


async def test_failed_tasks(
    place: Place, saver: Any, clock: Clock, thread_id: str, new_thread: Any
) -> None:
    root, inner = Chain(saver, thread_id), Chain(saver, thread_id, "child:1")
    deleted = Chain(saver, new_thread())
    first = await root.step(a=1)
    second = await root.step(a=2)
    nested = await inner.step(b=1)
    gone = await deleted.step(a=1)
    for at, stored, task in ((1, first, "t1"), (2, second, "t2"), (3, nested, "t3"), (4, gone, "")):
        clock.seconds = at
        await saver.aput_writes(stored, [("__error__", "boom")], task or "t4", "path")
        await saver.aput_writes(stored, [("__interrupt__", 1), ("a", 1)], "fine")
    clock.seconds = 7.5
    await saver.aput_writes(second, [("__error__", "boom again")], "t2", "path")
    await saver.aput_writes(second, [("__error__", "cut"), ("a", 1)], "t5")
    lose(
        place,
        "CheckpointWrites",
        f"thread_id == '{thread_id}' and task_id == 't5' and idx == 1",
    )
    await saver.adelete_thread(deleted.thread_id)
    send_again(place, "CheckpointWrites", thread_id)

    failed = f"FailedTasks() | {of(thread_id)} | sort by failed_at asc"
    failed += " | extend at = tostring(failed_at)"
    names = ("checkpoint_ns", "checkpoint_id", "task_id", "task_path", "at")
    assert ask(place, failed, *names) == [
        ("", id_of(first), "t1", "path", "2026-03-01T12:00:01.0000000Z"),
        ("child:1", id_of(nested), "t3", "path", "2026-03-01T12:00:03.0000000Z"),
        ("", id_of(second), "t2", "path", "2026-03-01T12:00:07.5000000Z"),
    ]
    assert query(place, f"FailedTasks() | {of(deleted.thread_id)} | count") == [{"Count": 0}]
    timeline = f"ThreadTimeline('{thread_id}') | extend since = since_previous / 1s"
    assert ask(place, timeline, "checkpoint_ns", "step", "tasks", "errors", "interrupts") == [
        ("", 0, 2, 1, 1),
        ("", 1, 2, 1, 1),
        ("child:1", 0, 2, 1, 1),
    ]


# --------------------------------------------------------------------------------- StepDurations


async def test_step_durations(
    place: Place, saver: Any, clock: Clock, thread_id: str, new_thread: Any
) -> None:
    root, inner = Chain(saver, thread_id), Chain(saver, thread_id, "child:1")
    deleted = Chain(saver, new_thread())
    for at, chain in (
        (0, root),
        (1.5, root),
        (2, inner),
        (2.25, inner),
        (62, root),
        (70, deleted),
        (71, deleted),
    ):
        clock.seconds = at
        await chain.step(a=at)
    # A fork: a second child of the first checkpoint, later than the others.
    clock.seconds = 100
    fork = Chain(saver, thread_id)
    fork.config = root.stored[0]
    forked = await fork.step({"step": 1, "source": "fork"}, a=0)
    await saver.adelete_thread(deleted.thread_id)
    send_again(place, "Checkpoints", thread_id)
    text = "StepDurations() | extend seconds = duration / 1s | sort by written_at asc"
    names = ("checkpoint_ns", "step", "source", "seconds")

    assert ask(place, f"{text} | {of(thread_id)}", *names) == [
        ("", 1, "loop", 1.5),
        ("child:1", 1, "loop", 0.25),
        ("", 2, "loop", 60.5),
        ("", 1, "fork", 100.0),
    ]
    assert ask(place, f"{text} | {of(deleted.thread_id)}", *names) == []

    # Put again, later: the newest copy counts.
    clock.seconds = 110
    again = new_checkpoint({}, checkpoint_id=id_of(forked))
    await saver.aput(root.stored[0], again, {"step": 1, "source": "update"}, {})
    assert ask(place, f"{text} | {of(thread_id)} | where step == 1", *names) == [
        ("", 1, "loop", 1.5),
        ("child:1", 1, "loop", 0.25),
        ("", 1, "update", 110.0),
    ]


async def test_ids_of_one_namespace_are_no_parents_in_another(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    for at, (namespace, parent, own) in enumerate(
        [("", None, "1"), ("child:1", None, "1"), ("", "1", "2"), ("child:1", "1", "2")]
    ):
        clock.seconds = at * at
        config = config_of(thread_id, namespace, parent)
        await saver.aput(config, new_checkpoint({}, checkpoint_id=own), {"step": 1}, {})
    text = f"StepDurations() | {of(thread_id)} | extend seconds = duration / 1s"

    assert ask(place, f"{text} | sort by seconds asc", "checkpoint_ns", "seconds") == [
        ("", 4.0),
        ("child:1", 8.0),
    ]


# -------------------------------------------------------------------------------- StorageByThread


def storage(place: Place, thread_id: str) -> dict[str, tuple[int, int, int, int]]:
    """Rows and bytes alive, rows and bytes dead, by table."""
    names = ("live_rows", "live_bytes", "dead_rows", "dead_bytes")
    rows = query(place, f"StorageByThread() | {of(thread_id)}")
    found = {row["table_name"].removeprefix("Checkpoint"): row for row in rows}
    assert len(found) == len(rows)
    return {table: tuple(row[name] for name in names) for table, row in found.items()}  # type: ignore[misc]


async def test_storage_of_a_thread_alive_and_dead(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    chain = Chain(saver, thread_id)
    for at in range(3):  # `large` is stored once and named by three rows, `own` once for each
        clock.seconds = at
        changed = {"large": BLOB} if at == 0 else {}
        stored = await chain.step(number=at, own=noise(90_000, at + 1), **changed)
    await saver.aput_writes(stored, [("x", 1), ("big", noise(2_000_000))], "task")
    sizes = ask(place, f"Checkpoints | {of(thread_id)}", "row_bytes")
    rows = sum(size for (size,) in sizes)
    written = sum(
        size for (size,) in ask(place, f"CheckpointWrites | {of(thread_id)}", "row_bytes")
    )
    alive = {
        "s": (3, rows, 0, 0),
        "Blobs": (4, 4 * BLOB_BYTES, 0, 0),
        "Writes": (4, written, 0, 0),  # `x`, and three chunks of `big`
    }

    assert len(sizes) == 3
    assert all(1_000 < size < 4_000 for (size,) in sizes)
    assert 2_000_000 * 4 // 3 < written < 2_000_000 * 4 // 3 + 4_000
    assert storage(place, thread_id) == alive

    # Another copy of the newest: its row takes over, what only the old one named is dead.
    clock.seconds = 3
    again = new_checkpoint({"own": noise(90_000, 9)}, checkpoint_id=id_of(stored))
    await saver.aput(chain.stored[1], again, {}, {"own": 9})
    newest = f"Checkpoints | {of(thread_id)} | where checkpoint_id == '{id_of(stored)}'"
    old, new = (size for (size,) in ask(place, f"{newest} | sort by written_at asc", "row_bytes"))
    assert storage(place, thread_id) == {
        "s": (3, rows - old + new, 1, old),
        "Blobs": (4, 4 * BLOB_BYTES, 1, BLOB_BYTES),
        "Writes": (4, written, 0, 0),
    }

    # What lies there twice takes twice the room.
    for table in ("Checkpoints", "CheckpointBlobs", "CheckpointWrites"):
        send_again(place, table, thread_id)
    assert storage(place, thread_id) == {
        "s": (6, 2 * (rows - old + new), 2, 2 * old),
        "Blobs": (8, 8 * BLOB_BYTES, 2, 2 * BLOB_BYTES),
        "Writes": (8, 2 * written, 0, 0),
    }

    await saver.adelete_thread(thread_id)
    assert storage(place, thread_id) == {
        "s": (0, 0, 8, 2 * (rows + new)),
        "Blobs": (0, 0, 10, 10 * BLOB_BYTES),
        "Writes": (0, 0, 8, 2 * written),
    }


async def test_storage_that_nothing_refers_to_is_dead(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    """What a killed process leaves: values without their row, writes without their checkpoint."""
    chain = Chain(saver, thread_id)
    await chain.step(a=1)
    left = await chain.step(own=BLOB)
    await saver.aput_writes(left, [("x", 1)], "task")
    lose(place, "Checkpoints", f"checkpoint_id == '{id_of(left)}'")

    found = storage(place, thread_id)

    assert (found["s"][0], found["s"][2]) == (1, 0)
    assert found["Blobs"] == (0, 0, 1, BLOB_BYTES)
    assert (found["Writes"][0], found["Writes"][2]) == (0, 1)


async def test_storage_of_a_large_value_and_of_two_lives(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    config, early = config_of(thread_id), config_of(thread_id, checkpoint_id="1")
    await saver.aput_writes(early, [("x", 1)], "no epoch")
    for life in (1, 2):
        values = {"large": noise(2_000_000, life)}
        checkpoint = new_checkpoint(values, checkpoint_id="1")
        stored = await saver.aput(config, checkpoint, {}, {"large": 1})
        await saver.aput_writes(stored, [("x", 1), ("y", 2)], "task")
        if life == 1:
            await saver.adelete_thread(thread_id)
    found = storage(place, thread_id)
    chunk = 2_000_000 * 4 // 9  # a third of its base64

    assert found["Blobs"] == (3, 3 * chunk, 3, 3 * chunk)
    assert [found[name][0::2] for name in ("s", "Writes")] == [(1, 1), (3, 2)]


async def test_storage_of_a_checkpoint_whose_list_of_values_is_a_value_itself(
    place: Place, saver: Any, clock: Clock, thread_id: str
) -> None:
    """Thousands of large values: the row names their list only."""
    names = [f"channel-{number:04}-{'n' * 200}" for number in range(1_500)]
    values = {name: noise(25_000, number) for number, name in enumerate(names)}
    await Chain(saver, thread_id).step(**values)
    refs = f"Checkpoints | {of(thread_id)} | project refs = blob_refs has 'values', blob_ids"

    ((inline, direct),) = ask(place, refs, "refs", "blob_ids")
    assert (inline, direct.count(",")) == (False, 0)
    live_rows, _, dead_rows, _ = storage(place, thread_id)["Blobs"]
    assert (live_rows > 1_400, dead_rows) == (True, 0)

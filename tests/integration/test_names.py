"""Names of databases that need care in a URL, and ids that are the whole of what they look like.

What ids may be in general stands in `shared/id_bodies.py`; here are ids without a prefix, which
need a server of their own, and database names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph.checkpoint.base import CheckpointTuple
from shared.places import Place, local_place, query
from shared.threads import Chain, config_of, listed, new_checkpoint, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors

pytestmark = pytest.mark.local_only

CLUSTER = "https://mycluster.westeurope.kusto.windows.net"

WHOLE_IDS = (
    "x",
    " ",
    "0",
    "1",
    "01",
    "1.0",
    "1e0",
    "true",
    "null",
    "NaN",
    "2026-01-02",
    "2026-01-02T00:00:00Z",
    "1.00:00:00",
    'x" or 1==1 //',
    "x' or 1==1 //",
    "*",
    "|",
    ":",
    ",",
    "%",
    "%25",
    "\x00",
    "\n",
    "\r\n",
    "\\",
    "\\n",
    "Ж",
    "ж",
    "é",
    "e\u0301",
    "語",
    "\U0001f600",
    "\u202e",
    "\ufeff",
    "x" * 10_000,
    "x" * 9_999,
)


@pytest.fixture
def place() -> Iterator[Place]:
    with local_place() as place:
        yield place


CLEAN = {text: text.replace("\x00", "") for text in WHOLE_IDS}
"""LangGraph takes NUL out of the text of metadata; keys and ids keep it."""


async def store_everywhere(saver: AsyncKustoSaver, text: str, value: Any) -> None:
    """One checkpoint that has `text` for every name that a checkpoint and its writes have."""
    checkpoint = new_checkpoint({text: value}, {text: 1}, text)
    stored = await saver.aput(config_of(text, text), checkpoint, {text: text}, {text: 1})
    assert stored == config_of(text, text, text)
    await saver.aput_writes(stored, [(text, text)], text, text)


async def test_every_id_is_itself_and_no_other(place: Place) -> None:
    """Ids without a prefix, all in one database: none is taken for another, nor deleted with it."""
    values = {text: {"number": number} for number, text in enumerate(WHOLE_IDS)}
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        await asyncio.gather(*(store_everywhere(saver, text, values[text]) for text in WHOLE_IDS))
    async with AsyncKustoSaver(place.uri, place.database) as fresh:
        items = {
            item.config["configurable"]["thread_id"]: item for item in await listed(fresh, None)
        }
        assert items.keys() == values.keys()
        for text, item in items.items():
            assert item.config == config_of(text, text, text)
            assert item.checkpoint["channel_values"] == {text: values[text]}
            assert item.checkpoint["channel_versions"] == {text: 1}
            assert item.metadata[text] == CLEAN[text]
            assert item.pending_writes == [(text, text, text)]
        found = await asyncio.gather(
            *(fresh.aget_tuple(config_of(text, text, text)) for text in WHOLE_IDS)
        )
        assert found == [items[text] for text in WHOLE_IDS]
        for text in WHOLE_IDS[::4]:
            await fresh.adelete_thread(text)
            assert await fresh.aget_tuple(config_of(text, text)) is None
        left = {
            item.config["configurable"]["thread_id"]: item for item in await listed(fresh, None)
        }
        assert left == {text: items[text] for text in values if text not in WHOLE_IDS[::4]}
    names = ("thread_id", "checkpoint_ns", "checkpoint_id")
    for table, more in (
        ("Checkpoints", ()),
        ("CheckpointWrites", ("task_id", "task_path", "channel")),
    ):
        columns = (*names, *more)
        rows = query(place, f"{table} | project {', '.join(columns)}")
        expected = sorted([text] * len(columns) for text in WHOLE_IDS)
        assert sorted([row[name] for name in columns] for row in rows) == expected


async def test_every_key_and_value_of_metadata_is_found_by_itself_alone(place: Place) -> None:
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        await asyncio.gather(*(store_everywhere(saver, text, 1) for text in WHOLE_IDS))
    async with AsyncKustoSaver(place.uri, place.database) as fresh:

        async def found(wanted: dict[str, str]) -> list[str]:
            items = await listed(fresh, None, filter=wanted)
            return [item.config["configurable"]["thread_id"] for item in items]

        exact = await asyncio.gather(*(found({text: CLEAN[text]}) for text in WHOLE_IDS))
        assert exact == [[text] for text in WHOLE_IDS]
        neighbours = [*WHOLE_IDS[1:], WHOLE_IDS[0]]
        mixed = zip(WHOLE_IDS, neighbours, strict=True)
        assert await asyncio.gather(*(found({a: CLEAN[b]}) for a, b in mixed)) == [[]] * 36


async def test_every_channel_and_task_of_one_checkpoint_is_itself(place: Place) -> None:
    """All 36 names side by side: channels in the row and in blobs, tasks, and one key each."""
    small = {text: number for number, text in enumerate(WHOLE_IDS)}
    large = {f"{text}!": noise(30_000, number) for number, text in enumerate(WHOLE_IDS)}
    values = {**small, **large}
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        stored = await saver.aput(
            config_of("t"),
            new_checkpoint(values),
            {text: text for text in WHOLE_IDS},
            dict.fromkeys(values, 1),
        )
        writes = [
            (text, [(text, number), ("__error__", "first")]) for text, number in small.items()
        ]
        await asyncio.gather(
            *(saver.aput_writes(stored, items, text, text) for text, items in writes)
        )
        for text in WHOLE_IDS[::4]:  # the last such write of a task wins, of this task alone
            await saver.aput_writes(stored, [("__error__", f"of {text}")], text, text)
    expected = [
        write
        for text, number in small.items()
        for write in (
            (text, text, number),
            (text, "__error__", f"of {text}" if text in WHOLE_IDS[::4] else "first"),
        )
    ]

    def read() -> CheckpointTuple | None:
        with KustoSaver(place.uri, place.database) as sync_saver:
            return sync_saver.get_tuple(config_of("t"))

    async with AsyncKustoSaver(place.uri, place.database) as fresh:
        (item,) = await listed(fresh, config_of("t"), filter=CLEAN)
        for found in (item, await fresh.aget_tuple(stored), await asyncio.to_thread(read)):
            assert found is not None
            assert found.checkpoint["channel_values"] == values
            assert {text: found.metadata[text] for text in WHOLE_IDS} == CLEAN
            assert found.pending_writes is not None
            assert sorted(found.pending_writes, key=repr) == sorted(expected, key=repr)
        assert await listed(fresh, config_of("t"), filter={**CLEAN, "x": "y"}) == []


@pytest.mark.parametrize("database", ["My Data.x-1", "Größe", "データ"])
async def test_a_database_name_that_needs_care_in_a_url(database: str) -> None:
    """The SDK pastes the name into the URL of an ingest request."""
    with local_place(database=database) as place:
        assert place.database == database
        async with AsyncKustoSaver(place.uri, place.database) as saver:
            stored = await Chain(saver, "t").step(a=1, large=b"x" * 100_000)
            await saver.aput_writes(stored, [("a", 1)], "task")
        async with AsyncKustoSaver(place.uri, database) as fresh:
            found = await fresh.aget_tuple(config_of("t"))
            assert found is not None
            assert found.checkpoint["channel_values"] == {"a": 1, "large": b"x" * 100_000}
            assert found.pending_writes == [("task", "a", 1)]
        async with AsyncKustoSaver(f"{place.uri}/{database.replace(' ', '%20')}") as by_path:
            assert len(await listed(by_path, None)) == 1
        assert query(place, "Checkpoints | count")[0]["Count"] == 1


@pytest.mark.parametrize("kind", [AsyncKustoSaver, KustoSaver])
@pytest.mark.parametrize(
    "database",
    [
        *("a%20b", "%", "a/b", "a\\b", "a?b", "a#b", "a;b", "a&b", "a=b", "a'b", 'a"b', "a|b"),
        *("a\nb", "a\x00b", "a:b", "[a]", "a@b", "a\u202eb", "\U0001f600", ".", "..", "../x"),
        *(" ", "-", "...", "- ."),
    ],
)
def test_a_database_name_that_would_point_elsewhere_is_refused(kind: Any, database: str) -> None:
    with pytest.raises(errors.InvalidDatabaseError, match="use letters, digits") as refused:
        kind(CLUSTER, database)
    assert repr(database) in str(refused.value)

"""Names of databases that need care in a URL, and ids that are the whole of what they look like.

What ids may be in general stands in `shared/id_bodies.py`; here are ids without a prefix, which
need a server of their own, and database names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from shared.places import Place, local_place, query
from shared.threads import Chain, config_of, listed, values_of

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


async def test_every_id_is_itself_and_no_other(place: Place) -> None:
    """Ids without a prefix, all in one database: none is taken for another, nor deleted with it."""
    values = {text: {"number": number} for number, text in enumerate(WHOLE_IDS)}
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        await asyncio.gather(
            *(Chain(saver, text, text).step({text: text}, **values[text]) for text in WHOLE_IDS)
        )
    async with AsyncKustoSaver(place.uri, place.database) as fresh:
        items = {
            item.config["configurable"]["thread_id"]: item for item in await listed(fresh, None)
        }
        assert items.keys() == values.keys()
        for text, item in items.items():
            assert item.config["configurable"]["checkpoint_ns"] == text
            assert item.checkpoint["channel_values"] == values[text]
            assert item.metadata[text] == text.replace("\x00", "")  # LangGraph takes NUL out
        for text in WHOLE_IDS[::4]:
            assert await values_of(fresh, config_of(text, text)) == values[text]
            await fresh.adelete_thread(text)
            assert await fresh.aget_tuple(config_of(text, text)) is None
        left = {item.config["configurable"]["thread_id"] for item in await listed(fresh, None)}
        assert left == set(WHOLE_IDS) - set(WHOLE_IDS[::4])
    stored = query(place, "Checkpoints | distinct thread_id")
    assert sorted(row["thread_id"] for row in stored) == sorted(WHOLE_IDS)


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

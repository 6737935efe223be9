"""What a call costs, in counts: requests, bytes, encodings, SQLite's work. Never in time.

These are bounds for changes to come: a call that needs a request, an encoding or a look at other
threads' rows more than before fails here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langgraph.checkpoint.serde.base import SerializerProtocol
from shared.places import Place, local_place
from shared.threads import Chain, config_of, noise

from benchmarks.sqlite_work import SqliteWork, watched
from langgraph.checkpoint.kusto import AsyncKustoSaver, _values

pytestmark = pytest.mark.local_only

WRITES = [("messages", "a"), ("turn", 7), ("branch:to:agent", None)]
LARGE = noise(100_000)


class CountingSerde:
    """A serializer that counts."""

    def __init__(self, inner: SerializerProtocol, counts: Counter[str]) -> None:
        self._inner, self._counts = inner, counts

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        self._counts["dumped"] += 1
        return self._inner.dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        self._counts["loaded"] += 1
        return self._inner.loads_typed(data)


class Costs:
    """What calls cost: requests, bytes, serialised values, compressions, SQLite's work."""

    def __init__(self, place: Place, work: SqliteWork, counts: Counter[str]) -> None:
        self._requests, self._work, self._counts = place.server.requests, work, counts

    @asynccontextmanager
    async def of(self) -> AsyncIterator[Counter[str]]:
        """Give what is done inside; filled at the end, without what is 0."""
        found: Counter[str] = Counter()
        before = self._counted()
        yield found
        found.update(self._counted() - before)

    def _counted(self) -> Counter[str]:
        requests = {name: self._requests.count(name) for name in ("ingest", "query", "mgmt")}
        sent = self._requests.body_bytes("ingest") + self._requests.body_bytes("query")
        answered = self._requests.answer_bytes("query")
        return self._counts + Counter(
            **self._work.counted(), **requests, sent=sent, answered=answered
        )


@pytest.fixture(scope="module")
def watched_place() -> Iterator[tuple[Place, SqliteWork]]:
    with watched() as work, local_place() as place:
        work.start()
        yield place, work


@pytest.fixture
def place(watched_place: tuple[Place, SqliteWork]) -> Place:
    return watched_place[0]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts compressions, and what the serializer of `saver` does."""
    counts: Counter[str] = Counter()
    whole, frame = _values._compress, _values.zstd.compress

    def counted_whole(data: bytes) -> bytes:
        counts["compressed"] += 1
        return whole(data)

    def counted_frame(*given: Any, **options: Any) -> bytes:
        counts["compressed"] += "zstd_dict" in options
        return frame(*given, **options)

    monkeypatch.setattr(_values, "_compress", counted_whole)
    monkeypatch.setattr(_values.zstd, "compress", counted_frame)
    return counts


@pytest.fixture
def costs(watched_place: tuple[Place, SqliteWork], counts: Counter[str]) -> Costs:
    return Costs(*watched_place, counts)


@pytest.fixture
def saver(async_saver: Callable[..., AsyncKustoSaver], counts: Counter[str]) -> AsyncKustoSaver:
    saver = async_saver()
    saver.serde = CountingSerde(saver.serde, counts)
    return saver


@pytest.fixture
def reader(async_saver: Callable[..., AsyncKustoSaver]) -> AsyncKustoSaver:
    """As another process: it knows of no thread."""
    return async_saver()


def bounded(found: Counter[str], **bounds: int) -> Counter[str]:
    """Check what may vary a little, and give the rest."""
    for name, bound in bounds.items():
        assert 0 < found.pop(name) <= bound, name
    return found


async def test_a_put(saver: AsyncKustoSaver, costs: Costs, thread_id: str) -> None:
    """One request and one row; each channel, the checkpoint and the metadata serialised once."""
    chain = Chain(saver, thread_id)
    for _ in range(2):
        async with costs.of() as found:
            await chain.step(a=1, b="x", c=[1, 2])
        assert bounded(found, sent=1_700, steps=200) == {"ingest": 1, "dumped": 5, "statements": 1}


async def test_a_put_of_writes(saver: AsyncKustoSaver, costs: Costs, thread_id: str) -> None:
    """One request and a row for each write."""
    stored = await Chain(saver, thread_id).step(a=1)
    async with costs.of() as found:
        await saver.aput_writes(stored, WRITES, "task")
    assert bounded(found, sent=1_700, steps=400) == {"ingest": 1, "dumped": 3, "statements": 3}


async def test_a_put_of_a_large_value(saver: AsyncKustoSaver, costs: Costs, thread_id: str) -> None:
    """Stored whole, then as what changed, then not at all: compressed once, once, never."""
    chain = Chain(saver, thread_id)
    async with costs.of() as whole:
        await chain.step(a=1, large=LARGE)
    assert bounded(whole, sent=140_000, steps=300) == {
        "ingest": 2,
        "dumped": 4,
        "compressed": 1,
        "statements": 2,
    }
    async with costs.of() as frame:
        await chain.step(large=LARGE + noise(500, 1))
    assert bounded(frame, sent=3_200, steps=200) == {
        "ingest": 1,
        "dumped": 4,
        "compressed": 1,
        "statements": 1,
    }
    async with costs.of() as unchanged:
        await chain.step(a=2)
    assert bounded(unchanged, sent=3_200, steps=200) == {
        "ingest": 1,
        "dumped": 3,
        "statements": 1,
    }


@pytest.mark.parametrize("length", [1, 60])
async def test_a_read_of_the_newest(
    saver: AsyncKustoSaver,
    reader: AsyncKustoSaver,
    costs: Costs,
    thread_id: str,
    length: int,
) -> None:
    """One query; a statement for each table, and rows of the newest checkpoint alone."""
    chain = Chain(saver, thread_id)
    for number in range(length):
        stored = await chain.step(a=number, b="x", c=[1, 2])
        await saver.aput_writes(stored, WRITES, "task")

    for which in (reader, reader, saver):
        async with costs.of() as found:
            assert await which.aget_tuple(chain.place) is not None
        found.pop("loaded", 0)
        assert bounded(found, sent=7_000, answered=9_000, steps=700) == {
            "query": 1,
            "statements": 5,
            "rows": 8,
        }


async def test_a_read_by_id(
    saver: AsyncKustoSaver, reader: AsyncKustoSaver, costs: Costs, thread_id: str
) -> None:
    chain = Chain(saver, thread_id)
    for number in range(20):
        stored = await chain.step(a=number, b="x", c=[1, 2])
        await saver.aput_writes(stored, WRITES, "task")

    async with costs.of() as found:
        assert await reader.aget_tuple(chain.stored[9]) is not None
    assert bounded(found, sent=7_000, answered=9_000, steps=500) == {
        "query": 1,
        "statements": 4,
        "rows": 7,
    }


async def test_a_read_decodes_each_channel_once(
    saver: AsyncKustoSaver, costs: Costs, thread_id: str
) -> None:
    chain = Chain(saver, thread_id)
    stored = await chain.step(a=1, large=LARGE)
    await saver.aput_writes(stored, WRITES, "task")

    async with costs.of() as found:
        await saver.aget_tuple(chain.place)

    assert (found["loaded"], found["dumped"], found["compressed"]) == (2 + 2 + 3, 0, 0)


async def test_other_threads_cost_nothing(
    saver: AsyncKustoSaver,
    reader: AsyncKustoSaver,
    async_saver: Callable[..., AsyncKustoSaver],
    costs: Costs,
    new_thread: Callable[[], str],
) -> None:
    """The same rows and statements, and no more steps than the depth of an index, for 500 more."""

    async def cost() -> list[Counter[str]]:
        chain = Chain(saver, new_thread())
        async with costs.of() as put:
            stored = await chain.step(a=1)
        async with costs.of() as put_writes:
            await saver.aput_writes(stored, WRITES, "task")
        async with costs.of() as read:
            await reader.aget_tuple(chain.place)
        async with costs.of() as read_by_id:
            await reader.aget_tuple(stored)
        return [put, put_writes, read, read_by_id]

    alone = await cost()
    others = async_saver()
    for _ in range(500):
        stored = await Chain(others, new_thread()).step(a=1)
        await others.aput_writes(stored, WRITES, "task")
    await others.aclose()
    among = await cost()

    assert alone[2]["query"] == alone[3]["query"] == 1
    for before, after in zip(alone, among, strict=True):
        assert bounded(after, steps=before.pop("steps") + 200) is after
        for name in ("sent", "answered"):
            assert abs(after.pop(name, 0) - before.pop(name, 0)) < 50, name
        assert after == before


async def test_a_list_of_a_few_asks_for_a_few(
    saver: AsyncKustoSaver, reader: AsyncKustoSaver, costs: Costs, thread_id: str
) -> None:
    chain = Chain(saver, thread_id)
    for number in range(30):
        await chain.step(a=number)

    async with costs.of() as found:
        listed = [item async for item in reader.alist(config_of(thread_id), limit=3)]

    assert len(listed) == 3
    assert found["query"] == 2
    assert found["rows"] <= 30 * 3 + 60

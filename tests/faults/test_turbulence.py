"""A cluster at its worst: requests fail halfway, tables become visible one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from shared.places import Place, asked_seed, local_place
from shared.threads import Chain, listed, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors

pytestmark = pytest.mark.local_only

VISIBILITY_SECONDS = 0.15
LATER_DAYS = 0.001  # more than the visibility, less than any retention
ROUNDS = 8


@pytest.fixture(params=[1, 2, 3] if asked_seed() is None else [asked_seed()])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    settings = {"seed": request.param, "turbulence": True, "visibility": VISIBILITY_SECONDS}
    with local_place(**settings) as place:
        yield place


@pytest.fixture
async def savers(place: Place) -> AsyncIterator[tuple[AsyncKustoSaver, AsyncKustoSaver]]:
    """One that writes, one that only reads."""
    options: dict[str, Any] = {"retry_backoff": 0.001, "visibility_timeout": 20.0}
    async with (
        AsyncKustoSaver(place.uri, place.database, **options) as writer,
        AsyncKustoSaver(place.uri, place.database, **options) as reader,
    ):
        yield writer, reader


def number_of(found: Any) -> int:
    """The step a checkpoint is of; it must be whole. -1 when there is none."""
    if found is None:
        return -1
    values = found.checkpoint["channel_values"]
    number: int = values["number"]
    expected = {"number": number, "base": noise(40_000), "large": noise(50_000, number)}
    assert values == expected
    wanted = [("task", name, number) for name in "abc"]
    assert found.pending_writes in ([], wanted)
    return number


async def test_what_is_read_is_whole_and_what_is_visible_is_read(
    place: Place, savers: tuple[AsyncKustoSaver, AsyncKustoSaver], thread_id: str
) -> None:
    writer, reader = savers
    chain = Chain(writer, thread_id)

    async def write(number: int) -> None:
        base = {"base": noise(40_000)} if number == 0 else {}
        stored = await chain.step(number=number, large=noise(50_000, number), **base)
        assert number_of(await writer.aget_tuple(chain.place)) == number
        await writer.aput_writes(stored, [(name, number) for name in "abc"], "task")
        found = await writer.aget_tuple(chain.place)
        assert found is not None
        assert number_of(found) == number
        assert len(found.pending_writes or ()) == 3

    for number in range(ROUNDS):
        writing = asyncio.ensure_future(write(number))
        while not writing.done():
            # What was acknowledged a while ago is visible: never none, never older.
            assert number_of(await reader.aget_tuple(chain.place)) >= number - 1
            for item in await listed(reader, chain.place):
                number_of(item)
            await asyncio.sleep(0.001)
        await writing
        place.server.advance(LATER_DAYS)
        found = await reader.aget_tuple(chain.place)
        assert number_of(found) == number
        assert found is not None
        assert len(found.pending_writes or ()) == 3
    assert [number_of(item) for item in await listed(reader, chain.place)] == [
        *reversed(range(ROUNDS))
    ]
    assert writer.stats()["retries"] > 0

    await writer.adelete_thread(thread_id)
    assert await writer.aget_tuple(chain.place) is None
    place.server.advance(LATER_DAYS)
    assert await reader.aget_tuple(chain.place) is None
    assert await listed(reader, chain.place) == []


async def test_a_failure_that_goes_on_is_heard(
    place: Place, savers: tuple[AsyncKustoSaver, AsyncKustoSaver], thread_id: str
) -> None:
    """Turbulence that never ends is an error, and what it left behind is whole or absent."""
    writer, reader = savers
    fault = place.server.faults.add("prefix", endpoint="ingest", times=None, rows=None)
    chain = Chain(writer, thread_id)
    with pytest.raises(errors.KustoCheckpointError) as failed:
        await chain.step(number=0, base=noise(40_000), large=noise(50_000, 0))
    assert failed.value.retriable
    assert fault.hits >= 4
    place.server.advance(LATER_DAYS)
    assert number_of(await reader.aget_tuple(chain.place)) in (-1, 0)

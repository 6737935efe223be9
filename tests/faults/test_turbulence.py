"""A cluster at its worst: requests fail halfway, tables become visible one after another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from shared.places import Place, asked_seed, local_place
from shared.threads import Chain, listed, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors
from langgraph.checkpoint.kusto.local.clock import TICKS_PER_SECOND, IngestionClock
from langgraph.checkpoint.kusto.local.moments import Moments

pytestmark = pytest.mark.local_only

VISIBILITY_SECONDS = 0.15
LATER_DAYS = 0.001  # more than the visibility, less than any retention
ROUNDS = 8
LONG = 0.6  # of the visibility: what is hidden for so long is asked for in that time


def hidden(seed: int, *tables: str) -> list[float]:
    """For how long each of these hides its rows, as a part of the visibility."""
    moments = Moments(IngestionClock(), lambda: 0, seed, 1.0)
    return [-(moments.shown_until(name) or 0) / TICKS_PER_SECOND for name in tables]


def rows_before_their_values(seed: int) -> bool:
    rows, values = hidden(seed, "Checkpoints", "CheckpointBlobs")
    return values - rows > LONG


def view_before_its_rows(seed: int) -> bool:
    rows, view = hidden(seed, "Checkpoints", "Checkpoints/LatestCheckpoints")
    return rows - view > LONG


# A seed alone may let values appear before their rows, and then no read ever meets half of a
# checkpoint: so each seed stands for three, of which two are searched for that order.
ORDERS: dict[str, Callable[[int], bool]] = {
    "as it comes": lambda seed: True,
    "rows before their values": rows_before_their_values,
    "the view before its rows": view_before_its_rows,
}


@pytest.fixture(params=ORDERS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    asked = asked_seed() or 1
    first = asked if request.param == "as it comes" else 1_000 * asked
    seed = next(filter(ORDERS[request.param], itertools.count(first)))
    settings = {"seed": seed, "turbulence": True, "visibility": VISIBILITY_SECONDS}
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
        try:
            while not writing.done():
                # What was acknowledged a while ago is visible: never none, never older.
                assert number_of(await reader.aget_tuple(chain.place)) >= number - 1
                for item in await listed(reader, chain.place):
                    number_of(item)
                await asyncio.sleep(0.001)
        except BaseException:
            writing.cancel()
            await asyncio.wait([writing])
            raise
        await writing
        place.server.advance(LATER_DAYS)
        found = await reader.aget_tuple(chain.place)
        assert number_of(found) == number
        assert found is not None
        assert len(found.pending_writes or ()) == 3
    assert [number_of(item) for item in await listed(reader, chain.place)] == [
        *reversed(range(ROUNDS))
    ]
    # The seed decides whom it hits; somebody it did.
    assert writer.stats()["retries"] + reader.stats()["retries"] > 0

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

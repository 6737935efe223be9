"""Rows that the queue took and Kusto refuses: acknowledged, never shown, and heard of.

A module of its own, because one Azurite serves one server at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shared.azurite import QUEUED, queued_place
from shared.places import Place, command
from shared.refusals import refused
from shared.threads import Chain, config_of, eventually, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors

LARGE = noise(300_000)


@pytest.fixture
def place(storage: str) -> Iterator[Place]:
    """A place of the test's own, whose rows of two tables Kusto takes and then refuses."""
    with queued_place(storage) as place:
        with KustoSaver(place.uri, place.database, **QUEUED) as saver:
            saver.setup(create=True)
        for table in ("Checkpoints", "CheckpointBlobs"):
            command(place, f".drop table {table} ingestion json mapping '{table}_v1'")
        yield place


# -- taken, and refused later ----------------------------------------------------------------------


async def test_rows_refused_after_they_were_queued_are_heard_of(place: Place) -> None:
    saver = AsyncKustoSaver(place.uri, place.database, **QUEUED, queued_timeout=0.3)
    chain = Chain(saver, "spoilt")
    await chain.step(a=1)  # acknowledged: the queue has it
    with pytest.raises(errors.WriteFailedError) as caught:
        await eventually(lambda: reads(saver, chain))
    assert len(caught.value.failures) == 1
    assert "of thread 'spoilt': queued more than 0.3 s ago and not shown" in str(caught.value)
    assert "`.show ingestion failures`" in str(caught.value)
    assert await values_of(saver, chain.place) == {"a": 1}, "told once, and still in the overlay"
    assert "mapping" in place.server.queue.failures[0].lower()
    await saver.aclose()


async def reads(saver: AsyncKustoSaver, chain: Chain) -> bool:
    """Read until that raises."""
    assert await values_of(saver, chain.place) == {"a": 1}
    return False


async def test_a_large_value_that_never_shows_fails_its_put(place: Place) -> None:
    saver = AsyncKustoSaver(place.uri, place.database, **QUEUED, queued_timeout=0.3)
    await refused(
        Chain(saver, "large").step(a=LARGE),
        "ServiceUnavailableError",
        "0.3 s ago and does not show it, so the checkpoint was not sent; look at `.show ingestion",
        retriable=True,
    )
    assert await saver.aget_tuple(config_of("large")) is None
    await saver.aclose()

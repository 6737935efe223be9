"""Rows that the queue took and Kusto refuses: acknowledged, never shown, and heard of.

A module of its own, because one Azurite serves one server at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest
from shared.aged_threads import AgedThread
from shared.ageing import passing_days
from shared.azurite import QUEUED, queued_place, wait_until_empty
from shared.places import Place, command, query
from shared.refusals import refused
from shared.threads import Chain, config_of, eventually, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _commits, errors

LARGE = noise(300_000)


@pytest.fixture
def well_place(storage: str) -> Iterator[Place]:
    """A place of the test's own."""
    with queued_place(storage) as place:
        set_up(place)
        yield place
        wait_until_empty(storage)  # the next server knows no such database


def set_up(place: Place) -> None:
    with KustoSaver(place.uri, place.database, **QUEUED) as saver:
        saver.setup(create=True)


def refuse(place: Place, *tables: str) -> None:
    """Let Kusto take rows of some tables, and refuse them later."""
    for table in tables:
        command(place, f".drop table {table} ingestion json mapping '{table}_v1'")


@pytest.fixture
def place(well_place: Place) -> Place:
    refuse(well_place, "Checkpoints", "CheckpointBlobs")
    return well_place


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


async def test_many_refused_rows_do_not_hide_what_is_shown(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after more rows than one question holds is asked about, too, and not told."""
    monkeypatch.setattr(_commits, "_CONFIRM_LIMIT", 5)
    saver = AsyncKustoSaver(place.uri, place.database, **QUEUED, queued_timeout=3.0)
    chain = Chain(saver, "many")
    for number in range(6):
        await chain.step(a=number)
    await saver.aput_writes(chain.config, [("a", 9)], "task")
    await eventually(lambda: all_but(saver, 6))
    with pytest.raises(errors.WriteFailedError) as caught:
        await eventually(lambda: reads_anything(saver, chain))
    told = list(caught.value.failures)
    with suppress(errors.WriteFailedError):
        await saver.aclose()
    assert 1 <= len(told) <= 6
    assert query(place, "CheckpointWrites | count") == [{"Count": 1}]


async def all_but(saver: AsyncKustoSaver, left: int) -> bool:
    return saver.stats()["overlay_rows"] == left


async def reads_anything(saver: AsyncKustoSaver, chain: Chain) -> bool:
    """Read until that raises."""
    assert await saver.aget_tuple(chain.place) is not None
    return False


# -- sent once more, and refused later -------------------------------------------------------------


async def test_a_renewal_that_is_refused_is_heard_of_and_done_again(
    well_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows as they landed first show all the while; they would expire a month later."""
    place, advance = well_place, passing_days(well_place, monkeypatch)
    saver = AsyncKustoSaver(place.uri, place.database, **QUEUED, queued_timeout=3.0)
    thread = AgedThread("old", ["messages"])
    await thread.put(saver, 0)
    await thread.write(saver, thread.newest, ("messages", 0))
    await eventually(lambda: all_but(saver, 0))
    advance(40)
    refuse(place, "CheckpointWrites")
    await thread.put(saver, 40)
    assert saver.stats()["renewals"] == 1
    with pytest.raises(errors.WriteFailedError) as caught:
        await eventually(lambda: checked(saver, thread))
    (told,) = caught.value.failures
    assert told.startswith("1 rows of thread 'old' that retention would take too soon: queued once")
    assert landed(place) == (1, 2), "the ancestor twice, its writes once"

    await asyncio.to_thread(set_up, place)
    await thread.put(saver, 40)
    assert saver.stats()["renewals"] == 2
    await eventually(lambda: written(place, 2))
    await eventually(lambda: all_landed(saver))
    await thread.put(saver, 40)
    assert saver.stats()["renewals"] == 2, "seen to land, so not for another month"
    await saver.aclose()


async def checked(saver: AsyncKustoSaver, thread: AgedThread) -> bool:
    await thread.check_newest(saver)
    return False


def landed(place: Place) -> tuple[int, int]:
    """How often the write and its checkpoint landed."""
    (writes,) = query(place, "CheckpointWrites | count")
    (heads,) = query(place, "Checkpoints | summarize n = count() by submission_id | top 1 by n")
    return writes["Count"], heads["n"]


async def written(place: Place, count: int) -> bool:
    return landed(place)[0] == count


async def all_landed(saver: AsyncKustoSaver) -> bool:
    return " again=0 " in repr(saver._home._core._visibility)

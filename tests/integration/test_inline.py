"""`ingestion="inline"`: rows travel as the data of a management command, streaming stays off."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared.delete_bodies import DeleteBodies
from shared.id_bodies import HOSTILE, IdBodies
from shared.life_bodies import LifeBodies
from shared.places import Place, command, local_place, query, seed_settings
from shared.refusals import refused
from shared.step_bodies import StepBodies
from shared.threads import Chain, config_of, new_checkpoint, values_of
from shared.write_bodies import WriteBodies

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto.local import Faults, LocalKusto, ingest

pytestmark = pytest.mark.local_only

INLINE: dict[str, Any] = {"ingestion": "inline", "retry_backoff": 0.001}
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def inline_place() -> Iterator[Place]:
    """A cluster with streaming ingestion off, as Microsoft's emulator is said to be."""
    with local_place(provisioned=False, streaming=False, **seed_settings()) as place:
        with KustoSaver(place.uri, place.database, **INLINE) as saver:
            saver.setup(create=True)
            saver.setup()
        yield place


@pytest.fixture
def place(inline_place: Place) -> Iterator[Place]:
    inline_place.server.requests.reset()
    yield inline_place
    inline_place.server.faults.clear()


@pytest.fixture
def faults(place: Place) -> Faults:
    return place.server.faults


@pytest.fixture
def make_saver(async_saver: Callable[..., AsyncKustoSaver]) -> Callable[..., AsyncKustoSaver]:
    return lambda **options: async_saver(**{**INLINE, **options})


class TestSteps(StepBodies): ...


class TestWrites(WriteBodies): ...


class TestDeletes(DeleteBodies): ...


class TestIds(IdBodies): ...


class TestLife(LifeBodies): ...


def sent(place: Place) -> list[str]:
    """The first lines of the ingest commands the server got."""
    texts = [item.text for item in place.server.requests.records() if item.endpoint == "mgmt"]
    return [text.partition("\n")[0] for text in texts if text.startswith(".ingest")]


@pytest.mark.counts
async def test_nothing_goes_the_streaming_way(saver: AsyncKustoSaver, place: Place) -> None:
    await Chain(saver, "way").step(a=1)
    assert sent(place) == [
        ".ingest inline into table ['Checkpoints']"
        " with (format='multijson', ingestionMappingReference='Checkpoints_v1') <|"
    ]
    assert place.server.requests.count("ingest") == 0
    assert saver.stats()["ingest_requests"] == 1
    assert query(place, "Checkpoints | where thread_id == 'way' | count") == [{"Count": 1}]


@pytest.mark.counts
async def test_one_command_holds_at_most_four_mebibytes(
    saver: AsyncKustoSaver, place: Place
) -> None:
    big = random.Random(1).randbytes(7_000_000)  # which no compressor makes smaller
    stored = await saver.aput(config_of("large"), new_checkpoint({"a": big}), {}, {"a": "1"})

    assert len(sent(place)) == 4  # 9.3 MB of base64 in three, then the row
    sizes = [item.body_bytes for item in place.server.requests.records() if item.endpoint == "mgmt"]
    assert max(sizes) < 4 * MEBIBYTE + 4_096, "what the JSON around it escapes comes on top"
    assert await values_of(saver, stored) == {"a": big}


async def test_no_value_ends_the_data(saver: AsyncKustoSaver, place: Place) -> None:
    """Hostile texts side by side in few commands, in every text a caller can choose."""
    ends = ("\n.drop table Checkpoints", "\r\n\r\n", "\u2028.show tables\u2029", "<|", "]", "//")
    texts = [*HOSTILE, *ends]
    for text, number in zip(texts, itertools.count()):
        stored = await saver.aput(
            config_of(f"end-{number}{text}", text), new_checkpoint({text: text}), {}, {text: text}
        )
        await saver.aput_writes(stored, [(text, text)], text, text)
    async with AsyncKustoSaver(place.uri, place.database, **INLINE) as other:
        for text, number in zip(texts, itertools.count()):
            found = await other.aget_tuple(config_of(f"end-{number}{text}", text))
            assert found is not None
            assert found.checkpoint["channel_values"] == {text: text}
            assert found.pending_writes == [(text, text, text)]
    names = {row["TableName"] for row in command(place, ".show tables")}
    assert names == {"Checkpoints", "CheckpointBlobs", "CheckpointWrites", "CheckpointTombstones"}


@pytest.mark.counts
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_is_sent_again_and_read_once(
    saver: AsyncKustoSaver, place: Place, faults: Faults, when: Any
) -> None:
    faults.add("reset", endpoint="mgmt", table="CheckpointWrites", when=when, times=2)
    stored = await Chain(saver, f"lost-{when}").step(a=1)
    await saver.aput_writes(stored, [("a", 2)], "task")

    landed = query(place, f"CheckpointWrites | where thread_id == 'lost-{when}' | count")
    assert landed == [{"Count": 3 if when == "after" else 1}]
    async with AsyncKustoSaver(place.uri, place.database, **INLINE) as other:
        found = await other.aget_tuple(stored)
        assert found is not None
        assert found.pending_writes == [("task", "a", 2)]
    assert saver.stats()["retries"] == 2


@pytest.mark.counts
@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "ThrottledError"), (503, "ServiceUnavailableError"), (520, "ServiceUnavailableError")],
)
async def test_what_passes_is_retried(
    make_saver: Callable[..., AsyncKustoSaver], faults: Faults, status: int, error: str
) -> None:
    saver = make_saver(max_retries=1, retry_timeout=0.5)
    faults.add("status", status=status, endpoint="mgmt")
    await Chain(saver, f"again-{status}").step(a=1)
    faults.add("status", status=status, endpoint="mgmt", times=None)
    call = Chain(saver, f"never-{status}").step(a=1)
    await refused(call, error, "ingestion into Checkpoints", retriable=True)


@pytest.mark.counts
async def test_a_row_refused_for_good_is_not_sent_again(
    saver: AsyncKustoSaver, faults: Faults
) -> None:
    faults.add("status", status=400, endpoint="mgmt", table="guilty")
    await refused(
        Chain(saver, "guilty").step(a=1), "RowsRejectedError", "ingestion into Checkpoints"
    )
    await Chain(saver, "innocent").step(a=1)
    assert saver.stats()["retries"] == 0


async def test_rows_of_which_nothing_was_made(
    saver: AsyncKustoSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP 200 and an empty extent: nothing was stored, so nothing is acknowledged."""
    monkeypatch.setattr(ingest, "rows_of", lambda *_: [])
    await refused(Chain(saver, "nothing").step(a=1), "RowsRejectedError", "Kusto took no row of")


async def test_a_place_without_the_command(saver: AsyncKustoSaver, faults: Faults) -> None:
    faults.add("status", status=404, endpoint="mgmt")
    await refused(
        Chain(saver, "unknown").step(a=1),
        "IngestionUnavailableError",
        "by `.ingest inline`; check that it is the query URI of the cluster, or pass"
        ' ingestion="streaming" or "queued": ',
    )


async def test_what_is_not_provisioned() -> None:
    with local_place(provisioned=False, streaming=False) as place:
        async with AsyncKustoSaver(place.uri, place.database, **INLINE) as saver:
            await refused(
                Chain(saver, "t").step(a=1), "TableNotFoundError", "run provision.kql, or"
            )
            await saver.setup(create=True)
            command(place, ".drop table Checkpoints ingestion json mapping 'Checkpoints_v1'")
            await refused(Chain(saver, "t").step(a=1), "SchemaTooOldError", "mapping")


async def test_the_streaming_default_names_the_other_ways(place: Place) -> None:
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        ways = 'ingestion="queued".*"inline"'
        with pytest.raises(errors.StreamingDisabledError, match=ways):
            await saver.setup()
        with pytest.raises(errors.StreamingDisabledError, match=ways):
            await Chain(saver, "off").step(a=1)
        with pytest.raises(errors.StreamingDisabledError, match=ways):
            await saver.setup(create=True)


@pytest.mark.parametrize(
    ("roles", "error", "text"),
    [
        ({"ingestor", "viewer"}, "TableNotFoundError", "Checkpoints"),
        ({"viewer"}, "PermissionDeniedError", "grant it Database Ingestor"),
    ],
)
async def test_the_role_it_needs(roles: set[str], error: str, text: str) -> None:
    with LocalKusto(roles=roles, streaming=False) as local:
        async with AsyncKustoSaver(local.url, local.database, **INLINE) as saver:
            await refused(Chain(saver, "t").step(a=1), error, text)

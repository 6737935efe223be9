"""The checker of the kill campaign: it accepts what a saver stores, and nothing less."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing

import pytest
from shared.places import Place, command
from shared.stored_rows import Acknowledged, Findings, Tables, digest
from shared.threads import Chain, id_of, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver

PIECES = {"0": noise(10), "1": noise(900_000), "2": noise(20)}


async def write(saver: AsyncKustoSaver, thread_id: str) -> Acknowledged:
    """A checkpoint with a small value and one of two chunks, and the writes of one task."""
    chain, values = Chain(saver, thread_id), {"small": 1, "large": noise(900_000)}
    stored = await chain.step({"digest": digest(values)}, **values)
    pieces = [("piece", piece) for piece in PIECES.values()]
    await saver.aput_writes(stored, [("digest", digest(PIECES)), *pieces], "task")
    where = (thread_id, id_of(stored))
    return Acknowledged({where: digest(values)}, {where: digest(PIECES)})


def check(place: Place, thread_id: str, acknowledged: Acknowledged) -> Findings:
    """What the checker says."""
    with closing(Tables(place.uri, place.database)) as tables:
        tables.check_thread(thread_id, acknowledged)
        return tables.findings


async def test_what_a_saver_stored_is_right(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    acknowledged = await write(async_saver(), thread_id)
    found = check(place, thread_id, acknowledged)
    assert found == Findings(checkpoints=1, blobs=1, submissions=1, value_bytes=found.value_bytes)
    assert found.value_bytes > 1_800_000


@pytest.mark.parametrize(
    ("table", "lost", "message"),
    [
        ("Checkpoints", "true", "put .* None"),
        ("CheckpointBlobs", "chunk == 1", r"torn: ValueError\('chunks \[0\]'\)"),
        ("CheckpointBlobs", "true", r"torn: ValueError\('chunks \[\]'\)"),
        ("CheckpointWrites", "chunk == 1", r"writes .* \[\], not"),
        ("CheckpointWrites", "true", "writes .* are not there"),
    ],
    ids=["row", "chunk", "blob", "part of writes", "writes"],
)
async def test_what_is_lost_is_found(
    place: Place,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
    table: str,
    lost: str,
    message: str,
) -> None:
    acknowledged = await write(async_saver(), thread_id)
    command(
        place,
        f".delete table {table} records <| {table} | where thread_id == '{thread_id}' and {lost}",
    )
    assert re.search(message, "\n".join(check(place, thread_id, acknowledged).wrong))


@pytest.mark.parametrize("kind", ["puts", "writes"])
async def test_another_value_than_acknowledged_is_found(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str, kind: str
) -> None:
    acknowledged = await write(async_saver(), thread_id)
    heard = getattr(acknowledged, kind)
    for where in heard:
        heard[where] = digest({})
    assert len(check(place, thread_id, acknowledged).wrong) == 1

"""What the queue took outlives the server: the next one ingests it.

A module of its own, because one Azurite serves one server at a time.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from shared.azurite import QUEUED, queued_place
from shared.places import Place, provision, query, server_process
from shared.threads import Chain, config_of, eventually, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

LARGE = noise(300_000)


async def shown(place: Place) -> bool:
    text = "Checkpoints | where thread_id == 'kept' | summarize n = dcount(checkpoint_id)"
    return query(place, text) == [{"n": 2}]


async def write(place: Place) -> AsyncKustoSaver:
    saver = AsyncKustoSaver(place.uri, place.database, **QUEUED)
    chain = Chain(saver, "kept")
    await chain.step(a=1)
    await chain.step(a=2)
    return saver


async def test_a_server_that_ended_with_messages_in_the_queue(storage: str, tmp_path: Path) -> None:
    path = tmp_path / "kusto.db"
    with queued_place(storage, path=path) as place:
        await asyncio.to_thread(set_up, place)
        place.server.queue.paused = True
        saver = await write(place)
        assert not await shown(place)
    with queued_place(storage, path=path, database=place.database) as again:
        await eventually(lambda: shown(again))
        async with AsyncKustoSaver(again.uri, again.database) as other:
            assert await values_of(other, config_of("kept")) == {"a": 2}
    await saver.aclose()


def set_up(place: Place) -> None:
    with KustoSaver(place.uri, place.database, **QUEUED) as saver:
        saver.setup(create=True)


async def test_a_server_killed_with_messages_in_its_hands(storage: str, tmp_path: Path) -> None:
    """It had taken them and not ingested them: the queue delivers them again."""
    options = ("--azurite", storage, "--queue-delay", "2")
    with server_process(tmp_path / "kusto.db", *options, provisioned=False) as server:
        await asyncio.to_thread(provision, server.place)
        saver = await write(server.place)
        server.kill()
        server.start()
        await eventually(lambda: shown(server.place))
        async with AsyncKustoSaver(server.place.uri, server.place.database) as other:
            assert await values_of(other, config_of("kept")) == {"a": 2}
        await saver.aclose()

"""Many parentless puts make many live epochs in one thread; all of it stays bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.places import Place, query
from shared.threads import config_of, listed_ids, new_checkpoint

from langgraph.checkpoint.kusto import AsyncKustoSaver

EPOCHS = 1_500
PAGE_OF_IDS_BYTES = 180_000


async def test_many_lives_of_one_thread(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    saver, reader = async_saver(), async_saver()
    ids = [f"{number:06}" for number in range(EPOCHS)]
    config = config_of(thread_id)

    async def put(checkpoint_id: str) -> None:
        await saver.aput(config, new_checkpoint({"a": 1}, checkpoint_id=checkpoint_id), {}, {})

    await asyncio.gather(*map(put, ids))
    for each in (saver, reader):
        before = each.stats()["queries"]
        found = await each.aget_tuple(config)
        assert found is not None
        assert found.checkpoint["id"] == ids[-1]
        assert each.stats()["queries"] == before + 1
    assert await listed_ids(reader, config, limit=3) == ids[:-4:-1]
    assert await listed_ids(reader, config) == ids[::-1]

    queries, requests = reader.stats()["queries"], reader.stats()["ingest_requests"]
    await reader.adelete_thread(thread_id)
    assert reader.stats()["queries"] == queries + 1
    assert reader.stats()["ingest_requests"] == requests + 1
    for each in (reader, saver, async_saver()):
        assert await each.aget_tuple(config) is None
        assert await listed_ids(each, config) == []
    sizes = query(
        place,
        f"CheckpointTombstones | where thread_id == '{thread_id}'"
        " | summarize largest = max(strlen(ids)), row_count = count()",
    )
    assert sizes[0]["row_count"] == 1 + (EPOCHS * 34 - 1) // PAGE_OF_IDS_BYTES
    assert sizes[0]["largest"] <= PAGE_OF_IDS_BYTES

    await put("1")
    assert await listed_ids(reader, config) == ["1"]
    assert saver.stats()["dead_puts"] == 0

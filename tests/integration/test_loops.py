"""Savers on event loops of other kinds, and on loops inside of loops, as notebooks have them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from shared.places import Place
from shared.savers import connections_of_dead_loops
from shared.threads import Chain, config_of, listed_ids, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed: pip install uvloop")


async def use(saver: Any, thread_id: str) -> None:
    chain = Chain(saver, thread_id)
    await asyncio.gather(chain.step(a=1), Chain(saver, thread_id, "child:1").step(b=1))
    await saver.aput_writes(chain.config, [("a", 2)], "task")
    assert await values_of(saver, chain.place) == {"a": 1}
    assert len(await listed_ids(saver, config_of(thread_id, None))) == 2
    await saver.acopy_thread(thread_id, f"{thread_id} copy")
    await saver.adelete_thread(f"{thread_id} copy")


def test_the_async_saver_on_uvloop(place: Place, new_thread: Callable[..., str]) -> None:
    thread_id = new_thread()

    async def main() -> None:
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        async with AsyncKustoSaver(place.uri, place.database) as saver:
            await use(saver, thread_id)

    uvloop.run(main())


def test_one_saver_moves_from_uvloop_to_asyncio(
    place: Place, new_thread: Callable[..., str]
) -> None:
    threads = [new_thread(), new_thread()]
    saver = AsyncKustoSaver(place.uri, place.database)

    async def last() -> None:
        async with saver:
            await use(saver, threads[1])

    with connections_of_dead_loops():
        uvloop.run(use(saver, threads[0]))
        asyncio.run(last())


def test_the_sync_saver_beside_uvloop(place: Place, new_thread: Callable[..., str]) -> None:
    """Its own loop is another one: sync calls on uvloop's thread do not wait for themselves."""
    thread_id = new_thread()

    async def main() -> None:
        with KustoSaver(place.uri, place.database) as saver:
            await use(saver, thread_id)
            assert saver.get_tuple(config_of(thread_id)) is not None

    uvloop.run(main())


def test_a_cell_of_a_notebook(place: Place, new_thread: Callable[..., str]) -> None:
    """A loop runs for ever in the main thread; cells await on it, and sync code starts loops of
    its own in other threads."""
    threads = [new_thread(), new_thread(), new_thread()]
    notebook = asyncio.new_event_loop()
    kernel = threading.Thread(target=notebook.run_forever)
    kernel.start()
    saver = AsyncKustoSaver(place.uri, place.database)
    sync_saver = KustoSaver(place.uri, place.database)

    def cell(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, notebook).result(30)

    async def sync_cell() -> None:
        assert sync_saver.get_tuple(config_of(threads[1])) is None
        await use(sync_saver, threads[1])

    try:
        cell(use(saver, threads[0]))
        cell(sync_cell())
        asyncio.run(use(saver, threads[2]))  # a thread of its own, while the notebook's loop runs
        assert saver.get_tuple(config_of(threads[0])) is not None
        cell(saver.aclose())
        sync_saver.close()
    finally:
        notebook.call_soon_threadsafe(notebook.stop)
        kernel.join()
        notebook.close()

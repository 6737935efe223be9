"""The savers under comparison: how a client process opens each of them, and where each is.

A name is a saver, and after `+` the place it talks to when that is not its usual one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .bench import Bench
from .driver import SyncNames, ThreadsDriver

POOL_SIZE = 20
KUSTO, SYNC, POSTGRES, SQLITE, MEMORY = "kusto", "kusto-sync", "postgres", "sqlite", "memory"
LATENCY, NULL = "+latency", "+null"

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    LATENCY: {"max_in_flight": 12},
    NULL: {"max_in_flight": 12},
}
"""What a Kusto saver is told beyond its defaults, by place."""

ALL = (KUSTO, SYNC, POSTGRES, SQLITE, MEMORY)
DELAYED = (KUSTO + LATENCY, SYNC + LATENCY, POSTGRES + LATENCY)
ALONE = (KUSTO + NULL,)


def base_of(name: str) -> str:
    """The saver a name means."""
    return name.partition("+")[0]


def place_of(name: str) -> str:
    """What the saver talks to: `local`, `null`, `postgres`, `file`, `nothing`; with `+latency`
    a slow one.
    """
    base, plus, place = name.partition("+")
    if plus + place == NULL:
        return "null"
    usual = {POSTGRES: "postgres", SQLITE: "file", MEMORY: "nothing"}
    return usual.get(base, "local") + plus + place


def is_sync(name: str) -> bool:
    """Whether its methods block."""
    return base_of(name) == SYNC


def opened(name: str, address: Mapping[str, Any]) -> AbstractAsyncContextManager[Bench]:
    """Open an async saver at an address and create its tables."""
    return _OPENERS[base_of(name)](name, address)


def opened_sync(name: str, address: Mapping[str, Any], *, create: bool = True) -> Any:
    """Open a `KustoSaver`; the caller closes `checkpointer`."""
    from langgraph.checkpoint.kusto import KustoSaver

    saver = KustoSaver(address["uri"], address["database"], **_options(name))
    if create:
        saver.setup(create=True)
    return Bench(SyncNames(saver), saver, ThreadsDriver())


def _options(name: str) -> Mapping[str, Any]:
    return OPTIONS.get(name.removeprefix(base_of(name)), {})


@asynccontextmanager
async def _kusto(name: str, address: Mapping[str, Any]) -> AsyncIterator[Bench]:
    from langgraph.checkpoint.kusto import AsyncKustoSaver

    async with AsyncKustoSaver(address["uri"], address["database"], **_options(name)) as saver:
        if address.get("create"):
            await saver.setup(create=True)
        yield Bench(saver, saver)


@asynccontextmanager
async def _postgres(name: str, address: Mapping[str, Any]) -> AsyncIterator[Bench]:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    # As LangGraph's documentation makes a pool.
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(
        address["connection"], min_size=POOL_SIZE, max_size=POOL_SIZE, kwargs=settings, open=False
    ) as pool:
        saver: Any = AsyncPostgresSaver(pool)  # type: ignore[arg-type]  # rows are dicts
        if address.get("create"):
            await saver.setup()
        yield Bench(saver, saver)


@asynccontextmanager
async def _sqlite(name: str, address: Mapping[str, Any]) -> AsyncIterator[Bench]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(address["file"]) as saver:
        yield Bench(saver, saver)


@asynccontextmanager
async def _memory(name: str, address: Mapping[str, Any]) -> AsyncIterator[Bench]:
    from langgraph.checkpoint.memory import InMemorySaver

    saver = InMemorySaver()
    yield Bench(saver, saver)


_OPENERS: Mapping[str, Callable[[str, Mapping[str, Any]], AbstractAsyncContextManager[Bench]]] = {
    KUSTO: _kusto,
    POSTGRES: _postgres,
    SQLITE: _sqlite,
    MEMORY: _memory,
}

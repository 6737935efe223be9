"""Fixtures of the local server's tests over HTTP: a server, a client with a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from shared.local_client import Client

from langgraph.checkpoint.kusto.local import LocalKusto


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalKusto]:
    async with LocalKusto(tmp_path / "kusto.db", database="Db") as local:
        yield local


@pytest.fixture
async def client(local: LocalKusto) -> AsyncIterator[Client]:
    client = Client(local)
    await client.run(
        ".create table T (a:string, b:long)", ".alter table T policy streamingingestion enable"
    )
    local.requests.reset()
    async with client.sdk:
        yield client

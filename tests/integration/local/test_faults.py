"""The local server over HTTP: faults on demand and by seed, as Microsoft's clients see them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from azure.kusto.data import KustoClient as SyncKustoClient
from azure.kusto.data.exceptions import (
    KustoApiError,
    KustoMultiApiError,
    KustoNetworkError,
    KustoServiceError,
    KustoThrottlingError,
)
from shared.local_client import Client

from langgraph.checkpoint.kusto.local import LocalKusto

pytestmark = pytest.mark.local_only


async def test_a_status_instead_of_an_answer(client: Client) -> None:
    faults = client.local.faults
    faults.add("status", endpoint="ingest", table="T", status=429)
    with pytest.raises(KustoThrottlingError):
        await client.ingest("T", {"a": "1"})
    faults.add("status", endpoint="query", status=503)
    with pytest.raises(KustoApiError, match="temporarily unavailable") as caught:
        await client.query("T | count")
    assert caught.value.get_api_error().permanent is False
    assert await client.query("T | count") == [[0]]


async def test_a_caller_who_is_refused(client: Client) -> None:
    faults = client.local.faults
    faults.add("status", endpoint="mgmt", status=401)
    with pytest.raises(KustoServiceError, match="401"):
        await client.run(".show tables")
    faults.add("status", endpoint="mgmt", status=403)
    with pytest.raises(KustoApiError, match="not authorized"):
        await client.run(".show tables")
    assert len(await client.run(".show tables")) == 1


async def test_rows_whose_ingestion_failed_are_there_or_not(client: Client) -> None:
    faults = client.local.faults
    faults.add("reset", endpoint="ingest", when="before")
    with pytest.raises(KustoNetworkError):
        await client.ingest("T", {"a": "before"})
    assert await client.query("T | count") == [[0]]
    faults.add("reset", endpoint="ingest", when="after")
    with pytest.raises(KustoNetworkError):
        await client.ingest("T", {"a": "1"})
    assert await client.query("T | project a") == [["1"]]
    faults.add("status", endpoint="ingest", when="after", status=503)
    with pytest.raises(KustoApiError):
        await client.ingest("T", {"a": "2"})
    faults.add("prefix", endpoint="ingest", rows=1, status=520)
    with pytest.raises(KustoApiError):
        await client.ingest("T", {"a": "3"}, {"a": "behind the prefix"})
    assert await client.query("T | project a | sort by a asc") == [["1"], ["2"], ["3"]]


async def test_an_error_inside_200(client: Client) -> None:
    client.local.faults.add("partial", endpoint="query")
    with pytest.raises(KustoMultiApiError, match="injected"):
        await client.query("T")


async def test_latency_is_added(client: Client) -> None:
    fault = client.local.faults.add("latency", endpoint="query", seconds=0.01, times=None)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await client.query("T | count")
    assert loop.time() - before >= 0.01
    assert fault.hits == 1


async def test_a_stalled_request_waits_and_others_do_not(client: Client) -> None:
    stall = client.local.faults.add("stall", endpoint="ingest")
    waiting = asyncio.ensure_future(client.ingest("T", {"a": "x"}))
    assert await asyncio.to_thread(stall.wait_hit, 10)
    assert await client.query("T | count") == [[0]]
    assert not waiting.done()
    stall.release()
    await waiting
    assert await client.query("T | count") == [[1]]


async def test_a_server_with_stalled_requests_stops(tmp_path: Path) -> None:
    local = LocalKusto(tmp_path / "kusto.db")
    await local.start()
    stall = local.faults.add("stall", endpoint="mgmt")
    client = Client(local)
    async with client.sdk:
        waiting = asyncio.ensure_future(client.run(".show tables"))
        assert await asyncio.to_thread(stall.wait_hit, 10)
        await local.aclose()
        assert await waiting == []


def test_turbulence_fails_requests_that_may_be_sent_again() -> None:
    failures = []
    with LocalKusto(seed=2, turbulence=True) as local, SyncKustoClient(local.url) as sdk:
        for number in range(200):
            try:
                sdk.execute_query(local.database, f"print x = {number}")
            except KustoApiError as error:
                failures.append(error.get_api_error())
    assert 1 <= len(failures) <= 20
    assert not any(failure.permanent for failure in failures)

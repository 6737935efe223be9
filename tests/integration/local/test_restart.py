"""The local server over HTTP: restarts under load, and tokens that expire."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from azure.kusto.data import KustoClient as SyncKustoClient
from azure.kusto.data.exceptions import KustoError, KustoNetworkError
from shared.local_client import Client, post

from langgraph.checkpoint.kusto.local import LocalKusto, LocalKustoError

pytestmark = pytest.mark.local_only


async def test_acknowledged_rows_are_there_after_a_restart(client: Client) -> None:
    local = client.local
    url = local.url
    acknowledged: list[int] = []
    refused = 0
    enough = asyncio.Event()

    async def write(number: int) -> None:
        nonlocal refused
        while not enough.is_set():
            number += 1
            try:
                await client.ingest("T", {"b": number})
                acknowledged.append(number)
            except KustoNetworkError:
                refused += 1

    writers = [asyncio.ensure_future(write(first)) for first in (0, 100_000, 200_000)]
    for _ in range(3):
        wanted = len(acknowledged) + 15
        while len(acknowledged) < wanted:  # noqa: ASYNC110 - each of three writers adds to it
            await asyncio.sleep(0.001)
        await local.arestart()
        assert local.url == url
    enough.set()
    await asyncio.gather(*writers)

    assert refused > 0
    stored = [row[0] for row in await client.query("T | project b")]
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert local.requests.count("ingest", status=200) >= len(acknowledged)


async def test_a_restart_keeps_faults_and_clock_and_ends_stalls(client: Client) -> None:
    local = client.local
    local.advance(10)
    before = await client.query("print now()")
    stall = local.faults.add("stall", endpoint="ingest")
    held = asyncio.ensure_future(client.ingest("T", {"a": "x"}))
    assert await asyncio.to_thread(stall.wait_hit, 10)
    fault = local.faults.add("status", endpoint="query")
    await local.arestart()
    with pytest.raises(KustoNetworkError):
        await held
    with pytest.raises(KustoError):
        await client.query("T | count")
    assert fault.hits == 1
    assert await client.query("T | count") == [[0]]
    assert (await client.query("print now()"))[0][0] >= before[0][0]


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("stopped", ["restarts", "ends"])
async def test_a_connection_that_comes_just_before_is_cut(turns: int, stopped: str) -> None:
    """However far accepting it has come: it is not kept without a server."""
    async with LocalKusto() as local:
        host, _, port = local.url.removeprefix("http://").partition(":")
        idle = socket.create_connection((host, int(port)))  # so that closing others takes its time
        await asyncio.sleep(0.05)
        with idle, socket.create_connection((host, int(port))) as late:
            for _ in range(turns):
                await asyncio.sleep(0)
            await (local.arestart() if stopped == "restarts" else local.aclose())
            late.settimeout(5)
            # Nobody answers; a connection that was forgotten would wait for a request.
            with suppress(ConnectionResetError):
                assert await asyncio.to_thread(late.recv, 1) == b""


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("stopped", ["restarts", "ends"])
async def test_a_stop_that_is_cancelled_leaves_nobody_listening(turns: int, stopped: str) -> None:
    async with LocalKusto() as local:
        host, _, port = local.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))):
            await asyncio.sleep(0.05)
            stop = asyncio.ensure_future(
                local.arestart() if stopped == "restarts" else local.aclose()
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            stop.cancel()
            with suppress(asyncio.CancelledError):
                await stop
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), 5)


def test_a_server_in_a_thread_restarts(tmp_path: Path) -> None:
    with LocalKusto(database="Own") as local, SyncKustoClient(local.url) as sdk:
        url, file = local.url, local.cluster.storage.path
        sdk.execute_mgmt("Own", ".create table T (a:string)")
        local.restart()
        assert (local.url, local.cluster.storage.path) == (url, file)
        assert file.exists()
        assert len(sdk.execute_mgmt("Own", ".show tables").primary_results[0]) == 1
        restarts = [threading.Thread(target=local.restart) for _ in range(3)]
        for thread in restarts:
            thread.start()
        for thread in restarts:
            thread.join()
        assert len(sdk.execute_mgmt("Own", ".show tables").primary_results[0]) == 1
    assert not file.exists()
    with pytest.raises(LocalKustoError, match="not running"):
        local.restart()


async def test_a_restart_is_asked_for_in_the_right_place(local: LocalKusto) -> None:
    with pytest.raises(LocalKustoError, match="use `await arestart"):
        local.restart()
    with LocalKusto() as other, pytest.raises(LocalKustoError, match=r"use restart\(\)"):
        await other.arestart()
    await asyncio.to_thread(local.restart)
    assert (await post(local, "/v1/rest/mgmt", {"csl": ".show version"}))[0] == 200


async def test_a_port_that_is_taken_meanwhile(
    local: LocalKusto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise LocalKustoError("port 1 of 127.0.0.1 is in use")

    monkeypatch.setattr("langgraph.checkpoint.kusto.local.running._listen", refuse)
    with pytest.raises(LocalKustoError, match="is in use"):
        await local.arestart()
    assert "stopped" in repr(local)
    monkeypatch.undo()
    await local.start()  # the file was closed
    assert (await post(local, "/v1/rest/mgmt", {"csl": ".show version"}))[0] == 200


async def test_a_token_that_expires(tmp_path: Path) -> None:
    async with LocalKusto(tmp_path / "kusto.db", token="secret") as local:

        async def status(token: str | None) -> int:
            body = {"csl": ".show version"}
            return (await post(local, "/v1/rest/mgmt", body, Authorization=f"Bearer {token}"))[0]

        assert local.token == "secret"
        assert await status("secret") == 200
        second = local.expire_token()
        assert (local.token, await status("secret"), await status(second)) == (second, 401, 200)
        third = local.expire_token()
        assert len({"secret", second, third}) == 3
        assert (await status(second), await status(third)) == (401, 200)
    with pytest.raises(LocalKustoError, match="needs no token"):
        LocalKusto().expire_token()
    assert LocalKusto().token is None

"""The local server in this process: starting, stopping, its file, its thread, its clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.kusto.data import KustoClient as SyncKustoClient
from shared.local_client import Client

from langgraph.checkpoint.kusto.local import LocalKusto, LocalKustoError

pytestmark = pytest.mark.local_only


async def test_the_data_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "kusto.db"
    async with LocalKusto(path) as local:
        client = Client(local)
        async with client.sdk:
            await client.run(
                ".create table T (a:string)", ".alter table T policy streamingingestion enable"
            )
            await client.ingest("T", {"a": "kept"})
    async with LocalKusto(path) as local:
        client = Client(local)
        async with client.sdk:
            assert await client.query("T") == [["kept"]]
            await client.ingest("T", {"a": "more"})
            assert await client.query("T | count") == [[2]]


async def test_the_file_the_port_and_the_address_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "kusto.db"
    async with LocalKusto(path) as local:
        with pytest.raises(LocalKustoError, match="in use by another local Kusto server"):
            async with LocalKusto(path):
                pass
        port = int(local.url.rsplit(":", 1)[1])
        with pytest.raises(LocalKustoError, match=f"port {port} of 127.0.0.1 is in use"):
            async with LocalKusto(tmp_path / "other.db", port=port):
                pass
        with pytest.raises(LocalKustoError, match="already running"):
            await local.start()
    with pytest.raises(LocalKustoError, match="does not authenticate"):
        LocalKusto(host="0.0.0.0")
    with pytest.raises(LocalKustoError, match="not running"):
        _ = LocalKusto().url
    with pytest.raises(LocalKustoError, match="not running"):
        LocalKusto().advance(1)
    for wrong in ({"turbulence": True}, {"visibility": 1.0}):
        with pytest.raises(LocalKustoError, match="decided by a seed"):
            LocalKusto(**wrong)
    with pytest.raises(LocalKustoError, match="seconds from 0, not -1"):
        LocalKusto(seed=1, visibility=-1)


def test_a_server_in_a_thread_of_its_own() -> None:
    with LocalKusto(database="Own") as local:
        assert repr(local) == f"LocalKusto({local.url}, database='Own', path=temporary)"
        file = local.cluster.storage.path
        assert file.exists()
        with SyncKustoClient(local.url) as sdk:
            rows = sdk.execute_query("Own", "print x = 1").primary_results[0]
            assert rows[0]["x"] == 1
    local.close()
    assert not file.exists()
    with local as again, SyncKustoClient(again.url) as sdk:
        assert len(sdk.execute_mgmt("Own", ".show tables").primary_results[0]) == 0


def test_a_server_in_a_thread_reports_why_it_cannot_start(tmp_path: Path) -> None:
    with (
        LocalKusto(tmp_path / "kusto.db"),
        pytest.raises(LocalKustoError, match="in use"),
        LocalKusto(tmp_path / "kusto.db"),
    ):
        pass


def test_a_server_whose_clock_is_set_forward_applies_retention() -> None:
    with LocalKusto(database="Own") as local, SyncKustoClient(local.url) as sdk:
        for command in (
            ".create table T (a:string)",
            ".alter-merge table T policy retention softdelete = 10d",
            ".ingest inline into table T <| x",
        ):
            sdk.execute_mgmt("Own", command)

        def count() -> int:
            return int(sdk.execute_query("Own", "T | count").primary_results[0][0]["Count"])

        assert (local.advance(9), count()) == (0, 1)
        assert (local.advance(1.5), count()) == (1, 0)

"""The local server over HTTP: requests that succeed, through Microsoft's clients and without."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.kusto.data import KustoClient as SyncKustoClient
from azure.kusto.data.exceptions import KustoApiError
from shared.local_client import Client, post

from langgraph.checkpoint.kusto.local import LocalKusto

pytestmark = pytest.mark.local_only

PROVISION = Path(__file__).parents[3] / "provision.kql"
ALL_TYPES = (
    ".create table AllTypes (b:bool, i:int, l:long, r:real, m:decimal, s:string, t:datetime, "
    "p:timespan, g:guid, d:dynamic)"
)

# -------------------------------------------------------------------------- rows and parameters


async def test_a_row_goes_in_and_comes_out(client: Client) -> None:
    await client.ingest("T", {"a": "x", "b": 1}, {"a": "y", "unknown": 5})
    assert await client.query("T | sort by a asc") == [["x", 1], ["y", None]]


async def test_every_type_comes_back_through_the_sdk(client: Client) -> None:
    await client.run(ALL_TYPES, ".alter table AllTypes policy streamingingestion enable")
    await client.ingest(
        "AllTypes",
        {
            "b": True,
            "i": -5,
            "l": 2**63 - 1,
            "r": 0.25,
            "m": "1.10",
            "s": "tab\t \U0001f600 'quoted' \x00",
            "t": "2026-01-02T03:04:05.1234567Z",
            "p": "1.02:03:04.5",
            "g": "11111111-2222-3333-4444-555555555555",
            "d": {"z": [1, None, "x"], "a": 118.0},
        },
        {},
    )
    full, empty = await client.query("AllTypes | sort by s desc")
    assert full == [
        True,
        -5,
        2**63 - 1,
        0.25,
        Decimal("1.10"),
        "tab\t \U0001f600 'quoted' \x00",
        dt.datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=dt.timezone.utc),
        dt.timedelta(days=1, hours=2, minutes=3, seconds=4.5),
        "11111111-2222-3333-4444-555555555555",
        {"a": 118, "z": [1, None, "x"]},
    ]
    assert empty == [None, None, None, None, None, "", None, None, None, None]


async def test_parameters_of_every_kind(client: Client) -> None:
    found = await client.query(
        "declare query_parameters(s:string, n:long, t:datetime, d:dynamic, x:long=7);"
        "print s, n, t, d, x",
        s='it\'s; drop "T" | take 0',
        n=5,
        t="datetime(2026-01-02)",
        d='dynamic(["a","b"])',
    )
    assert found == [
        [
            'it\'s; drop "T" | take 0',
            5,
            dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc),
            ["a", "b"],
            7,
        ]
    ]


async def test_several_results_of_one_request(client: Client) -> None:
    await client.ingest("T", {"a": "x", "b": 1}, {"a": "y", "b": 2})
    answer = await client.sdk.execute_query(
        "db", "T | where a == 'x' | as First; T | count; T | where a == 'none'"
    )
    tables = answer.primary_results
    assert [table.table_name for table in tables][:1] == ["First"]
    assert [len(table) for table in tables] == [1, 1, 0]
    assert tables[1][0][0] == 2
    assert client.local.requests.count("query") == 1


async def test_the_sync_client_and_the_first_protocol(client: Client) -> None:
    await client.ingest("T", {"a": "x", "b": 1})

    def use() -> list[Any]:
        with SyncKustoClient(client.local.url) as sdk:
            return [row.to_list() for row in sdk.execute("Db", "T").primary_results[0]]

    assert await asyncio.to_thread(use) == [["x", 1]]
    status, body, _ = await post(client.local, "/v1/rest/query", {"db": "Db", "csl": "T; T"})
    assert status == 200
    assert [table["TableName"] for table in body["Tables"]] == [f"Table_{i}" for i in range(5)]
    assert body["Tables"][1]["Rows"] == [["x", 1]]
    assert [row[1] for row in body["Tables"][4]["Rows"]] == [
        "QueryResult",
        "QueryResult",
        "QueryProperties",
        "QueryStatus",
    ]


async def test_concurrent_requests_are_all_acknowledged(client: Client) -> None:
    await asyncio.gather(*(client.ingest("T", {"a": str(n), "b": n}) for n in range(100)))
    assert await client.query("T | summarize count(), sum(b)") == [[100, 4950]]


async def test_the_provisioning_runs_twice_both_ways(local: LocalKusto) -> None:
    script = PROVISION.read_text()
    client = Client(local)
    async with client.sdk:
        for _ in range(2):
            rows = await client.run(
                ".execute database script with (ThrowOnErrors=true) <|\n" + script
            )
            assert {row["Result"] for row in rows} == {"Completed"}
        commands = [row["CommandText"] for row in rows]
        for _ in range(2):
            await client.run(*commands)
        assert len(await client.run(".show tables")) == 4
        view = (await client.run(".show materialized-view LatestCheckpoints"))[0]
        assert (view["SourceTable"], view["IsHealthy"]) == ("Checkpoints", True)
        await client.ingest(
            "Checkpoints",
            {"thread_id": "t", "checkpoint_id": "1", "epoch": "e", "step": 1},
            {"thread_id": "t", "checkpoint_id": "2", "epoch": "e", "step": 2},
            {"thread_id": "u", "checkpoint_id": "1", "epoch": "f", "step": 3},
            mapping="Checkpoints_v1",
        )
        latest = "LatestCheckpoints | where thread_id == 't' | project checkpoint_id, step"
        assert await client.query(latest) == [["2", 2]]
        live = "LiveCheckpoints() | summarize count() by thread_id | sort by thread_id asc"
        assert await client.query(live) == [["t", 2], ["u", 1]]


# ---------------------------------------------------------------------------- paths and headers


async def test_names_in_urls_are_decoded_and_databases_found_in_any_case(client: Client) -> None:
    await client.run(
        ".create table ['my table'] (a:string)",
        ".alter table ['my table'] policy streamingingestion enable",
    )
    path = "/v1/rest/ingest/dB/my%20table?streamFormat=MultiJSON"
    status, body, _ = await post(client.local, path, {"a": "x"})
    assert status == 200
    assert [column["ColumnName"] for column in body["Tables"][0]["Columns"]] == [
        "ConsumedRecordsCount",
        "UpdatePolicyStatus",
        "UpdatePolicyFailureCode",
        "UpdatePolicyFailureReason",
    ]
    assert body["Tables"][0]["Rows"] == [[1, "Inactive", "Unknown", None]]
    assert await client.query("['my table']") == [["x"]]


async def test_identifiers_of_requests_come_back(local: LocalKusto) -> None:
    body = {"csl": ".show version"}
    _, _, first = await post(local, "/v1/rest/mgmt", body, **{"x-ms-client-request-id": "mine"})
    _, _, second = await post(local, "/v1/rest/mgmt", body)
    assert first["x-ms-client-request-id"] == "mine"
    assert second["x-ms-client-request-id"]
    assert first["x-ms-activity-id"] != second["x-ms-activity-id"]


async def test_a_read_only_header_is_obeyed(client: Client) -> None:
    body = {"db": "Db", "csl": ".drop table T"}
    status, answer, _ = await post(client.local, "/v1/rest/mgmt", body, **{"x-ms-readonly": "true"})
    assert status == 400
    assert "read-only" in answer["error"]["@message"]
    assert await client.query("T | count") == [[0]]


async def test_other_endpoints(local: LocalKusto) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(local.url + "/v1/rest/auth/metadata") as answer:
            assert (await answer.json())["AzureAD"] is None
        async with session.get(local.url + "/v1/rest/ping") as answer:
            assert answer.status == 200
        async with session.get(
            local.url + "/v2/rest/query", params={"db": "Db", "csl": "print 1"}
        ) as answer:
            assert (await answer.json())[2]["Rows"] == [[1]]
    status, body, _ = await post(local, "/v1/rest/nothing", {})
    assert (status, body["error"]["code"]) == (404, "NotFound")


async def test_requests_are_counted(client: Client) -> None:
    await client.ingest("T", {"a": "x"}, {"a": "y"})
    await client.query("T")
    with pytest.raises(KustoApiError):
        await client.ingest("T", {"a": "x"}, mapping="M9")
    requests = client.local.requests
    assert (requests.count(), requests.count("ingest", "T")) == (3, 2)
    assert requests.count("ingest", status=200) == 1
    assert requests.rows("ingest") == requests.rows("query") == 2
    assert requests.body_bytes("ingest") == 2 * len('{"a": "x"}') + 1 + len('{"a": "x"}')
    assert requests.wire_bytes("ingest") > 0
    assert requests.answer_bytes("query") > requests.answer_bytes("ingest") > 0
    assert requests.answer_bytes() == requests.answer_bytes("query") + requests.answer_bytes(
        "ingest"
    )
    assert requests.records()[2].answer_bytes == 0
    assert [record.endpoint for record in requests.records()] == ["ingest", "query", "ingest"]
    assert repr(requests) == "RequestLog(query=1, mgmt=0, ingest=2)"

"""The local server over real HTTP, driven by Microsoft's SDK and by raw requests."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.kusto.data import ClientRequestProperties
from azure.kusto.data import KustoClient as SyncKustoClient
from azure.kusto.data.aio import KustoClient
from azure.kusto.data.exceptions import (
    KustoApiError,
    KustoMultiApiError,
    KustoNetworkError,
    KustoServiceError,
    KustoThrottlingError,
)

from langgraph.checkpoint.kusto.local import LocalKusto, LocalKustoError

PROVISION = Path(__file__).parents[2] / "provision.kql"
ALL_TYPES = (
    ".create table AllTypes (b:bool, i:int, l:long, r:real, m:decimal, s:string, t:datetime, "
    "p:timespan, g:guid, d:dynamic)"
)


class Client:
    """Microsoft's client with shorthands."""

    def __init__(self, local: LocalKusto) -> None:
        self.local = local
        self.sdk = KustoClient(local.url)

    async def run(self, *commands: str) -> list[dict[str, Any]]:
        """Run commands; return the rows of the last."""
        rows: list[dict[str, Any]] = []
        for text in commands:
            answer = await self.sdk.execute_mgmt(self.local.database, text)
            rows = [row.to_dict() for row in answer.primary_results[0]]
        return rows

    async def query(
        self, text: str, options: dict[str, Any] | None = None, **parameters: Any
    ) -> list[list[Any]]:
        """Run a query; return the rows of its first result."""
        properties = ClientRequestProperties()
        for name, value in (options or {}).items():
            properties.set_option(name, value)
        for name, value in parameters.items():
            properties.set_parameter(name, value)
        answer = await self.sdk.execute_query(self.local.database, text, properties)
        return [row.to_list() for row in answer.primary_results[0]]

    async def ingest(self, table: str, *records: Any, mapping: str | None = None) -> None:
        """Stream records into a table."""
        await self.send(table, "\n".join(json.dumps(record) for record in records), mapping)

    async def send(
        self, table: str, body: str, mapping: str | None = None, format_: str = "multijson"
    ) -> None:
        """Stream a body into a table."""
        packed = io.BytesIO(gzip.compress(body.encode()))
        await self.sdk.execute_streaming_ingest(
            self.local.database, table, packed, None, format_, mapping_name=mapping
        )


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


async def post(
    local: LocalKusto, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Send a raw request; return status, body and headers."""
    sent = {"Accept": "application/json", **headers}
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    async with (
        aiohttp.ClientSession() as session,
        session.post(local.url + path, data=data, headers=sent) as answer,
    ):
        text = await answer.text()
        found = json.loads(text) if "json" in answer.headers["Content-Type"] else text
        return answer.status, found, dict(answer.headers)


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


async def test_a_refused_query_is_an_api_error(client: Client) -> None:
    with pytest.raises(KustoApiError, match="SEM0100") as caught:
        await client.query("Nowhere | take 1")
    error = caught.value.get_api_error()
    assert error.code == "General_BadRequest"
    assert error.permanent is True
    assert caught.value.is_semantic_error()
    assert caught.value.http_response.status == 400
    with pytest.raises(KustoApiError, match="Syntax error"):
        await client.query("T | | take")


async def test_an_unknown_database(client: Client) -> None:
    with pytest.raises(KustoApiError, match="Database 'Nope' could not be found") as caught:
        await client.sdk.execute_query("Nope", "T")
    assert caught.value.get_api_error().code == "BadRequest_DatabaseNotExist"


async def test_an_error_without_accept_need_not_be_json(local: LocalKusto) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(local.url.rsplit(":", 1)[1]))
    writer.write(
        b"POST /v2/rest/query HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Connection: close\r\n\r\n{}"
    )
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 400")
    assert "text/plain" in answer


async def test_ingestion_errors_are_api_errors(client: Client) -> None:
    with pytest.raises(KustoApiError, match="kind 'MappingPersistent' was not found") as caught:
        await client.ingest("T", {"a": "x"}, mapping="M9")
    assert caught.value.get_api_error().permanent is True
    with pytest.raises(KustoApiError, match=r"Bad streaming ingestion request to Db\.T"):
        await client.send("T", '{"a": "x"}\n{"a":')
    with pytest.raises(KustoApiError, match="tip:check stream validity"):
        await client.send("T", " ")
    assert await client.query("T | count") == [[0]]


async def test_streaming_that_is_off_is_not_found(tmp_path: Path) -> None:
    async with LocalKusto(tmp_path / "off.db", streaming=False) as local:
        client = Client(local)
        async with client.sdk:
            await client.run(".create table T (a:string)")
            with pytest.raises(KustoServiceError, match="Please enable streaming ingestion"):
                await client.ingest("T", {"a": "x"})
            with pytest.raises(KustoApiError, match="streaming ingestion is not enabled"):
                await client.run(".alter table T policy streamingingestion enable")


async def test_a_body_of_four_mebibytes_is_taken_and_a_larger_one_refused(client: Client) -> None:
    await client.run(".alter column T.a policy encoding type='BigObject32'")
    room = 4 * 1024 * 1024 - len('{"a": ""}')
    await client.ingest("T", {"a": "x" * room})
    assert await client.query("T | project n = strlen(a)") == [[room]]
    with pytest.raises(KustoApiError, match="maximum allowed size") as caught:
        await client.ingest("T", {"a": "x" * (room + 1)})
    assert caught.value.http_response.status == 413
    assert caught.value.get_api_error().permanent is True
    status, _, _ = await post(
        client.local, "/v1/rest/ingest/Db/T?streamFormat=multijson", b"x" * (4 * 1024 * 1024 + 1)
    )
    assert status == 413


@pytest.mark.parametrize("packed", [b"not gzip", gzip.compress(b'{"a":"x"}')[:-4]])
async def test_a_broken_gzip_body_is_refused(client: Client, packed: bytes) -> None:
    path = "/v1/rest/ingest/Db/T?streamFormat=multijson"
    status, body, _ = await post(client.local, path, packed, **{"Content-Encoding": "gzip"})
    assert status == 400
    assert "gzip" in body["error"]["@message"]
    assert await client.query("T | count") == [[0]]


async def test_wrong_ingest_requests_are_refused(client: Client) -> None:
    path = "/v1/rest/ingest/Db/T"
    _, body, _ = await post(client.local, path, {"a": "x"})
    assert "'streamFormat' is missing" in body["error"]["@message"]
    _, body, _ = await post(client.local, path + "?streamFormat=json&sourceKind=uri", {})
    assert "not blobs" in body["error"]["@message"]
    two_members = gzip.compress(b'{"a":"x"}\n') + gzip.compress(b'{"a":"y"}')
    status, _, _ = await post(
        client.local, path + "?streamFormat=json", two_members, **{"Content-Encoding": "gzip"}
    )
    assert status == 200
    assert await client.query("T | count") == [[2]]


async def test_a_read_only_header_is_obeyed(client: Client) -> None:
    body = {"db": "Db", "csl": ".drop table T"}
    status, answer, _ = await post(client.local, "/v1/rest/mgmt", body, **{"x-ms-readonly": "true"})
    assert status == 400
    assert "read-only" in answer["error"]["@message"]
    assert await client.query("T | count") == [[0]]


async def test_a_fault_of_the_server_itself_is_520_and_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(client.local.cluster, "query", broken)
    with pytest.raises(KustoApiError, match="a bug") as caught:
        await client.query("T")
    assert caught.value.http_response.status == 520
    assert caught.value.get_api_error().permanent is False
    assert "query request failed: T" in caplog.text


async def test_silent_truncation(client: Client) -> None:
    await client.run(".create-merge table T (d:dynamic)")
    await client.ingest("T", {"a": "x" * 1_048_580, "d": ["y" * 1_048_576]})
    assert await client.query("T | project n = strlen(a), isnull(d)") == [[1_048_576, True]]


async def test_a_result_that_is_too_large_fails_inside_200(client: Client) -> None:
    query = "range n from 1 to 2000 step 1"
    with pytest.raises(KustoMultiApiError, match="80DA0003") as caught:
        await client.query(query, {"truncationmaxrecords": 1500})
    assert caught.value.get_api_errors()[0].code == "LimitsExceeded"
    with pytest.raises(KustoMultiApiError, match="80DA0003"):
        await client.query(query, {"truncationmaxsize": 5000})
    # What the SDK overlooks: the error stands in the completion frame alone.
    options = {
        "truncationmaxrecords": 1500,
        "results_error_reporting_placement": "end_of_dataset",
    }
    assert len(await client.query(query, options)) == 1500
    assert len(await client.query(query, {"query_take_max_records": 3})) == 3
    assert len(await client.query(query, {"notruncation": True})) == 2000


async def test_faults(client: Client) -> None:
    faults = client.local.faults
    faults.add("status", endpoint="ingest", table="T", status=429)
    with pytest.raises(KustoThrottlingError):
        await client.ingest("T", {"a": "1"})
    faults.add("status", endpoint="query", status=503)
    with pytest.raises(KustoApiError, match="temporarily unavailable") as caught:
        await client.query("T | count")
    assert caught.value.get_api_error().permanent is False
    faults.add("reset", endpoint="ingest", when="before")
    with pytest.raises(KustoNetworkError):
        await client.ingest("T", {"a": "2"})
    assert await client.query("T | count") == [[0]]
    faults.add("reset", endpoint="ingest", when="after")
    with pytest.raises(KustoNetworkError):
        await client.ingest("T", {"a": "3"})
    assert await client.query("T | project a") == [["3"]]
    faults.add("status", endpoint="ingest", when="after", status=503)
    with pytest.raises(KustoApiError):
        await client.ingest("T", {"a": "4"})
    faults.add("prefix", endpoint="ingest", rows=1, status=520)
    with pytest.raises(KustoApiError):
        await client.ingest("T", {"a": "5"}, {"a": "6"})
    assert await client.query("T | project a | sort by a asc") == [["3"], ["4"], ["5"]]
    faults.add("partial", endpoint="query")
    with pytest.raises(KustoMultiApiError, match="injected"):
        await client.query("T")
    faults.add("status", endpoint="mgmt", status=401)
    with pytest.raises(KustoServiceError, match="401"):
        await client.run(".show tables")
    faults.add("status", endpoint="mgmt", status=403)
    with pytest.raises(KustoApiError, match="not authorized"):
        await client.run(".show tables")
    assert len(await client.run(".show tables")) == 1


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
    assert [record.endpoint for record in requests.records()] == ["ingest", "query", "ingest"]
    assert repr(requests) == "RequestLog(query=1, mgmt=0, ingest=2)"


async def test_a_token_may_be_required(tmp_path: Path) -> None:
    async with LocalKusto(tmp_path / "kusto.db", token="secret") as local:
        body = {"csl": ".show version"}
        assert (await post(local, "/v1/rest/mgmt", body))[0] == 401
        wrong = await post(local, "/v1/rest/mgmt", body, Authorization="Bearer other")
        assert wrong[0] == 401
        assert wrong[2]["WWW-Authenticate"] == "Bearer"
        right = await post(local, "/v1/rest/mgmt", body, Authorization="Bearer secret")
        assert right[0] == 200


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


async def test_a_query_that_takes_too_long_times_out(client: Client) -> None:
    with pytest.raises(KustoApiError) as caught:
        await client.query(
            "range a from 1 to 2000000 step 1 | summarize sum(a * a)",
            {"servertimeout": dt.timedelta(milliseconds=1)},
        )
    assert caught.value.http_response.status == 504
    assert caught.value.get_api_error().permanent is False


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


class ServerProcess:
    """The command line server as a process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "langgraph.checkpoint.kusto.local", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def endpoint(self) -> tuple[str, str]:
        """Return URL and database as the server prints them."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().strip() for _ in range(2)]
        found = dict(line.split("=", 1) for line in lines)
        return found["KUSTO_CLUSTER_URI"], found["KUSTO_DATABASE"]

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and standard error."""
        _, text = self.process.communicate(timeout=30)
        return self.process.returncode, text


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[ServerProcess] = []

    def start(*arguments: str) -> ServerProcess:
        started.append(ServerProcess(*arguments))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_server_stops_cleanly(start: Any, number: int) -> None:
    server = start("--database", "Cli")
    url, database = server.endpoint()
    assert database == "Cli"
    with SyncKustoClient(url) as sdk:
        assert len(sdk.execute_mgmt(database, ".show databases").primary_results[0]) == 1
    server.process.send_signal(number)
    assert server.end() == (0, "")


def test_acknowledged_rows_survive_kill_9(start: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "kusto.db")
    server = start("--path", path)
    url, database = server.endpoint()
    acknowledged: list[int] = []
    with SyncKustoClient(url) as sdk:
        sdk.execute_mgmt(database, ".create table T (n:long)")
        sdk.execute_mgmt(database, ".alter table T policy streamingingestion enable")
        with pytest.raises(KustoNetworkError):
            for number in range(100_000):
                body = io.BytesIO(gzip.compress(json.dumps({"n": number}).encode()))
                sdk.execute_streaming_ingest(database, "T", body, None, "multijson")
                acknowledged.append(number)
                if number == 40:
                    os.kill(server.process.pid, signal.SIGKILL)
    assert len(acknowledged) > 40
    server = start("--path", path)
    url, database = server.endpoint()
    with SyncKustoClient(url) as sdk:
        rows = sdk.execute_query(database, "T").primary_results[0]
        assert set(acknowledged) <= {row["n"] for row in rows}


def test_the_command_line_names_what_is_wrong(start: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "kusto.db")
    first = start("--path", path)
    port = first.endpoint()[0].rsplit(":", 1)[1]
    code, text = start("--path", path).end()
    assert code == 1
    assert "in use by another local Kusto server" in text
    code, text = start("--port", port).end()
    assert code == 1
    assert f"port {port} of 127.0.0.1 is in use" in text
    code, text = start("--host", "0.0.0.0").end()
    assert code == 1
    assert "--allow-remote" in text


def test_listening_for_others_needs_to_be_said_and_warns(start: Any) -> None:
    server = start("--host", "0.0.0.0", "--allow-remote")
    server.endpoint()
    server.process.send_signal(signal.SIGTERM)
    code, text = server.end()
    assert code == 0
    assert "there is no authentication" in text


def test_a_missing_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import langgraph.checkpoint.kusto.local as local\n"
        "local.LocalKusto"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 1
    assert 'pip install "langgraph-checkpoint-kusto[local]"' in found.stderr

"""The local server over HTTP: what it refuses, in the shape of Kusto's errors; its limits."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pytest
from azure.kusto.data.exceptions import KustoApiError, KustoMultiApiError, KustoServiceError
from shared.local_client import Client, post

from langgraph.checkpoint.kusto.local import LocalKusto

pytestmark = pytest.mark.local_only


# --------------------------------------------------------------------------- queries and requests


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


async def test_a_token_may_be_required(tmp_path: Path) -> None:
    async with LocalKusto(tmp_path / "kusto.db", token="secret") as local:
        body = {"csl": ".show version"}
        assert (await post(local, "/v1/rest/mgmt", body))[0] == 401
        wrong = await post(local, "/v1/rest/mgmt", body, Authorization="Bearer other")
        assert wrong[0] == 401
        assert wrong[2]["WWW-Authenticate"] == "Bearer"
        right = await post(local, "/v1/rest/mgmt", body, Authorization="Bearer secret")
        assert right[0] == 200


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


# ------------------------------------------------------------------------------------- ingestion


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


# ---------------------------------------------------------------------------------------- limits


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


async def test_the_limits_of_a_result_are_those_of_kusto(client: Client) -> None:
    """500,000 rows and 64 MB, when nobody asks for others."""

    async def rows(text: str) -> list[Any]:
        _, frames, _ = await post(client.local, "/v2/rest/query", {"db": "Db", "csl": text})
        found: list[Any] = frames[2]["Rows"]
        return found

    *whole, error = await rows("range n from 1 to 500001 step 1 | project x = 1")
    assert len(whole) == 500_000
    assert "more than 500000 records or 67108864 bytes" in str(error["OneApiErrors"])
    wide = "range n from 1 to {} step 1 | project s = strrep(strrep('x', 1000), 1000)"
    assert [len(row) for row in await rows(wide.format(67))] == [1] * 67
    (error,) = await rows(wide.format(68))
    assert "80DA0003" in str(error["OneApiErrors"])


async def test_an_unknown_content_encoding_is_refused(client: Client) -> None:
    path = "/v1/rest/ingest/Db/T?streamFormat=multijson"
    for encoding in ("br", "deflate", "gzip, gzip"):
        status, body, _ = await post(
            client.local, path, {"a": "x"}, **{"Content-Encoding": encoding}
        )
        assert status == 400
        assert "use gzip" in body["error"]["@message"]
    assert await client.query("T | count") == [[0]]


async def test_names_have_a_length(client: Client) -> None:
    await client.run(f".create table ['{'x' * 1024}'] (a:string)", f".drop table {'x' * 1024}")
    for name in ("['']", f"['{'x' * 1025}']", "x" * 1025):
        with pytest.raises(KustoApiError, match="A name has 1 to 1024 characters"):
            await client.run(f".create table {name} (a:string)")


async def test_a_query_that_takes_too_long_times_out(client: Client) -> None:
    with pytest.raises(KustoApiError) as caught:
        await client.query(
            "range a from 1 to 2000000 step 1 | summarize sum(a * a)",
            {"servertimeout": dt.timedelta(milliseconds=1)},
        )
    assert caught.value.http_response.status == 504
    assert caught.value.get_api_error().permanent is False

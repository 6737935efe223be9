"""The local server over HTTP: faults of what is written and of what is answered."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import aiohttp
import pytest
from azure.kusto.data.exceptions import (
    KustoApiError,
    KustoMultiApiError,
    KustoNetworkError,
    KustoServiceError,
    KustoThrottlingError,
)
from shared.local_client import Client, post

from langgraph.checkpoint.kusto.local import LocalKusto

pytestmark = pytest.mark.local_only

QUERY = {"db": "Db", "csl": "T | project a | sort by a asc"}
INGEST = "/v1/rest/ingest/Db/T?streamFormat=multijson"


async def values(client: Client) -> list[str]:
    return [row[0] for row in await client.query("T | project a | sort by a asc")]


# --------------------------------------------------------------------------------- errors in 200


async def frames_of(local: LocalKusto, **fault: Any) -> list[dict[str, Any]]:
    local.faults.add("partial", endpoint="query", **fault)
    status, frames, _ = await post(local, "/v2/rest/query", QUERY)
    assert status == 200
    found: list[dict[str, Any]] = frames
    return found


def places_of(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """What each place says of errors."""
    (rows,) = (f["Rows"] for f in frames if f.get("TableKind") == "PrimaryResult")
    (status,) = (f for f in frames if f.get("TableKind") == "QueryCompletionInformation")
    names = [column["ColumnName"] for column in status["Columns"]]
    records = [dict(zip(names, row, strict=True)) for row in status["Rows"]]
    return {
        "rows": [row for row in rows if isinstance(row, dict)],
        "status": [record for record in records if record["Level"] <= 2],
        "completion": frames[-1].get("OneApiErrors", []),
    }


async def test_an_error_inside_200_stands_in_one_place(client: Client) -> None:
    await client.ingest("T", {"a": "x"})
    for place in ("rows", "status", "completion"):
        found = places_of(await frames_of(client.local, place=place, status=503))
        assert [name for name, errors in found.items() if errors] == [place]
        text = str(found[place])
        assert "ServiceUnavailable" in text
        assert "temporarily unavailable" in text
    frames = await frames_of(client.local, place="status")
    assert frames[-1]["HasErrors"] is False
    (record,) = places_of(frames)["status"]
    assert record["StatusCode"] == -2133196797
    assert record["StatusCodeName"] == "E_QUERY_RESULT_SET_TOO_LARGE"
    frames = await frames_of(client.local, place="completion")
    assert frames[-1]["HasErrors"] is True
    assert [f["Rows"] for f in frames if f.get("TableKind") == "PrimaryResult"] == [[["x"]]]


async def test_an_error_inside_200_stands_where_the_request_asks(client: Client) -> None:
    found = places_of(await frames_of(client.local))
    assert [name for name, errors in found.items() if errors] == ["rows", "completion"]
    client.local.faults.add("partial", place="rows", status=520, times=2)
    with pytest.raises(KustoMultiApiError, match="An injected fault") as caught:
        await client.query("T")
    assert caught.value.get_api_errors()[0].permanent is False
    # What the SDK overlooks: the other two places.
    client.local.faults.clear()
    for place in ("status", "completion"):
        client.local.faults.add("partial", place=place)
        assert await client.query("T") == []


async def test_an_error_inside_a_v1_answer(client: Client) -> None:
    for path, body in (
        ("/v1/rest/mgmt", {"db": "Db", "csl": ".show tables"}),
        ("/v1/rest/query", QUERY),
    ):
        client.local.faults.add("partial", place="rows", status=503)
        _, answer, _ = await post(client.local, path, body)
        assert answer["Tables"][0]["Rows"][-1] == {
            "Exceptions": ["The service is temporarily unavailable."]
        }
        client.local.faults.add("partial", place="completion", status=503)
        _, answer, _ = await post(client.local, path, body)
        assert answer["Exceptions"] == ["The service is temporarily unavailable."]
        assert not any(isinstance(row, dict) for row in answer["Tables"][0]["Rows"])


# ------------------------------------------------------------------------- answers that are lost


@pytest.mark.parametrize("endpoint", ["query", "mgmt", "ingest"])
async def test_an_answer_is_cut_in_its_middle(client: Client, endpoint: str) -> None:
    calls = {
        "query": lambda: client.query("range n from 1 to 1000 step 1"),
        "mgmt": lambda: client.run(".show tables"),
        "ingest": lambda: client.ingest("T", {"a": "x"}),
    }
    fault = client.local.faults.add("cut", endpoint=endpoint)
    with pytest.raises((KustoServiceError, KustoNetworkError)):
        await calls[endpoint]()
    assert fault.hits == 1
    await calls[endpoint]()  # the next connection is whole
    assert client.local.requests.count(endpoint, status=0) == 1
    assert await values(client) == (["x", "x"] if endpoint == "ingest" else [])


async def test_what_a_cut_lets_through_is_announced_whole(client: Client) -> None:
    client.local.faults.add("cut", endpoint="query")
    async with (
        aiohttp.ClientSession() as session,
        session.post(client.local.url + "/v2/rest/query", json=QUERY) as answer,
    ):
        assert answer.status == 200
        whole = int(answer.headers["Content-Length"])
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert whole > 500


async def test_a_server_names_when_to_come_back(client: Client) -> None:
    client.local.faults.add("status", status=429, endpoint="ingest", retry_after=1.5)
    with pytest.raises(KustoThrottlingError) as caught:
        await client.ingest("T", {"a": "x"})
    assert caught.value.args[1].headers["Retry-After"] == "1.5"


async def test_latency_has_a_distribution(client: Client) -> None:
    fault = client.local.faults.add(
        "latency", endpoint="query", seconds=0.001, distribution="exponential", times=None
    )
    await asyncio.gather(*(client.query("T | count") for _ in range(20)))
    assert fault.hits == 20


# ------------------------------------------------------------------------------ what is written


async def test_a_prefix_without_an_answer_and_one_that_lies(client: Client) -> None:
    faults = client.local.faults
    faults.add("prefix", rows=1, answer="lost")
    with pytest.raises(KustoNetworkError):
        await client.ingest("T", {"a": "1"}, {"a": "behind"})
    assert await values(client) == ["1"]
    faults.add("prefix", rows=1, answer="ok")
    await client.ingest("T", {"a": "2"}, {"a": "behind"})
    assert await values(client) == ["1", "2"]
    faults.add("prefix", rows=0, answer="error", status=429)
    with pytest.raises(KustoThrottlingError):
        await client.ingest("T", {"a": "3"})
    assert await values(client) == ["1", "2"]


async def test_rows_land_twice_and_are_acknowledged_once(client: Client) -> None:
    client.local.faults.add("duplicate")
    status, body, _ = await post(client.local, INGEST, b'{"a": "x"} {"a": "y"}')
    assert (status, body["Tables"][0]["Rows"][0][0]) == (200, 2)
    assert await values(client) == ["x", "x", "y", "y"]
    times = await client.query("T | summarize n = count() by t = ingestion_time() | project n")
    assert times == [[2], [2]]
    await client.ingest("T", {"a": "z"})
    assert await values(client) == ["x", "x", "y", "y", "z"]


async def test_inline_ingestion_is_spoilt_as_streaming_is(client: Client) -> None:
    """A prefix lands and the answer is an error, none, or a lie; or rows land twice."""
    faults, command = client.local.faults, ".ingest inline into table T <|\n1\n2"
    for rows, answer, raised in ((1, "error", KustoServiceError), (0, "lost", KustoNetworkError)):
        faults.add("prefix", endpoint="mgmt", rows=rows, answer=answer)
        with pytest.raises(raised):
            await client.run(command)
    assert await values(client) == ["1"]
    faults.add("prefix", endpoint="mgmt", rows=1, answer="ok")
    await client.run(command)
    faults.add("duplicate", endpoint="mgmt")
    await client.run(command)
    await client.run(".set-or-append T <| print a = '3', b = 1")
    assert await values(client) == ["1", "1", "1", "1", "2", "2", "3"]


async def test_a_full_disk_takes_nothing_and_works_again(client: Client) -> None:
    local = client.local
    await client.ingest("T", {"a": "before"})
    local.faults.add("disk_full", endpoint="ingest", times=2)
    for _ in range(2):
        with pytest.raises(KustoApiError, match="nothing was written") as caught:
            await client.ingest("T", {"a": "1"}, {"a": "2"})
        assert caught.value.http_response.status == 520
        assert caught.value.get_api_error().permanent is False
    assert await values(client) == ["before"]
    local.faults.add("disk_full", endpoint="mgmt", times=2)
    for command in (".create table U (a:string)", ".set-or-append T <| print a = 'x', b = 1"):
        with pytest.raises(KustoApiError, match="database or disk is full"):
            await client.run(command)
    await client.run(".create table U (a:string)", ".set-or-append T <| print a = 'x', b = 1")
    await client.ingest("T", {"a": "y"})
    assert await values(client) == ["before", "x", "y"]


async def test_a_disk_that_really_fills_up(client: Client) -> None:
    """SQLite's own word for it; requests of one commit fail or stay, each of them whole."""
    storage = client.local.cluster.storage
    said: set[bool] = set()

    def bound(pages: int) -> None:
        def job(writer: sqlite3.Connection) -> None:
            have = writer.execute("PRAGMA page_count").fetchone()[0]
            writer.execute(f"PRAGMA max_page_count = {have + pages}")

        storage.write(job)

    async def put(number: int) -> bool:
        name, filler = f"{number:02}", "x" * 3000
        try:
            await client.ingest("T", *({"a": name + filler, "b": n} for n in range(5)))
        except KustoApiError as error:
            said.add("disk is full" in str(error))
            return False
        return True

    bound(60)
    acknowledged = [await put(0)]
    # These may all share one commit, of which nothing stays.
    acknowledged += await asyncio.gather(*(put(number) for number in range(1, 30)))
    assert {*acknowledged} == {True, False}
    assert said == {True}
    counts = "T | summarize n = count() by a = substring(a, 0, 2) | sort by a asc"
    taken = [f"{number:02}" for number, done in enumerate(acknowledged) if done]
    assert await client.query(counts) == [[name, 5] for name in taken]
    bound(10_000)
    assert await put(99)
    assert await client.query(counts) == [[name, 5] for name in [*taken, "99"]]


# ---------------------------------------------------------------------------- what is not shown


async def test_rows_are_hidden_for_a_while(client: Client) -> None:
    await client.run(
        ".create table U (a:string)",
        ".alter table U policy streamingingestion enable",
        ".create materialized-view V on table T { T | summarize arg_max(b, *) by a }",
        ".create function F() { T | count }",
    )
    for table in ("T", "U"):
        await client.ingest(table, {"a": "x", "b": 1})

    async def counts() -> list[int]:
        texts = ("T | count", "U | count", "V | count", "F()", "union T, U | count")
        return [(await client.query(text))[0][0] for text in texts]

    assert await counts() == [1, 1, 1, 1, 2]
    hidden = client.local.faults.add("hide", table="T", seconds=3600, times=None)
    assert await counts() == [0, 1, 1, 0, 1]
    client.local.advance(0.5 / 24)
    await client.ingest("T", {"a": "y", "b": 1})
    client.local.advance(0.75 / 24)
    assert await counts() == [1, 1, 2, 1, 2]
    assert hidden.hits == 10
    client.local.faults.clear()
    assert await counts() == [2, 1, 2, 2, 3]
    client.local.faults.add("hide", table="V", seconds=3600, times=None)
    assert await counts() == [2, 1, 1, 2, 3]
    client.local.faults.clear()
    client.local.faults.add("hide", table="U", seconds=36_000)
    assert await client.query("U | count") == [[0]]  # one query
    assert await client.query("U | count") == [[1]]


# ------------------------------------------------------------------------------------- scripts


SCRIPT = (
    ".execute database script {} <|\n.create table A (a:string)\n\n.create table B (a:string)\n"
)


async def test_a_script_stops_after_some_commands(client: Client) -> None:
    async def tables() -> list[str]:
        return sorted(row["TableName"] for row in await client.run(".show tables"))

    client.local.faults.add("script", commands=1)
    first, second = await client.run(SCRIPT.format(""))
    assert (first["Result"], first["Reason"]) == ("Completed", "")
    assert second["Result"] == "Failed"
    assert "temporarily unavailable" in second["Reason"]
    assert await tables() == ["A", "T"]
    client.local.faults.add("script", commands=0, status=520)
    failed, done = await client.run(SCRIPT.format("with (ContinueOnErrors=true)"))
    assert (failed["Result"], done["Result"]) == ("Failed", "Completed")
    assert await tables() == ["A", "B", "T"]
    await client.run(".drop table A", ".drop table B")
    client.local.faults.add("script", commands=1)
    with pytest.raises(KustoApiError, match="temporarily unavailable") as caught:
        await client.run(SCRIPT.format("with (ThrowOnErrors=true)"))
    assert caught.value.get_api_error().permanent is False
    assert await tables() == ["A", "T"]
    rows = await client.run(SCRIPT.format(""))
    assert [row["Result"] for row in rows] == ["Completed", "Completed"]


async def test_a_script_on_a_full_disk_says_so_in_a_row(client: Client) -> None:
    client.local.faults.add("disk_full", endpoint="mgmt")
    (row,) = await client.run(SCRIPT.format(""))
    assert row["Result"] == "Failed"
    assert "nothing was written" in row["Reason"]
    assert len(await client.run(SCRIPT.format(""))) == 2

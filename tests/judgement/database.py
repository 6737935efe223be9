"""The database both judges see: Microsoft's binder by its schema, the local server with its rows.

Here: commands, rows, and asking the server over HTTP. No query stands here, and no test.
"""

from __future__ import annotations

import gzip
import http.client
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from azure.kusto.data import ClientRequestProperties, KustoClient

from langgraph.checkpoint.kusto.local import LocalKusto

SCHEMA = [
    (
        "Events",
        ".create-merge table Events (id:string, family:string, n:long, score:real, ok:bool, "
        "at:datetime, span:timespan, data:dynamic, g:guid, i:int, m:decimal)",
    ),
    ("Owners", ".create-merge table Owners (id:string, owner:string, weight:int)"),
    (
        "Latest",
        ".create materialized-view Latest on table Events "
        "{ Events | summarize arg_max(n, *) by family }",
    ),
    (
        "AtLeast",
        ".create-or-alter function AtLeast(least:long, wanted:string='x') "
        "{ Events | where n >= least and family == wanted }",
    ),
    ("Twice", ".create-or-alter function Twice(x:long) { x * 2 }"),
]
STREAMING = [
    f".alter table {name} policy streamingingestion enable" for name in ("Events", "Owners")
]

GUID = "11111111-2222-3333-4444-555555555555"
# What is left out is null, or the empty string.
EVENTS: list[dict[str, Any]] = [
    {
        "id": "a",
        "family": "x",
        "n": 1,
        "score": 1.5,
        "ok": True,
        "at": "2026-01-01T00:00:00.0000001Z",
        "span": "00:00:01",
        "data": {"k": 1, "list": [1, 2], "s": "one", "when": "2026-01-02"},
        "g": GUID,
        "i": 7,
        "m": "1.10",
    },
    {
        "id": "b",
        "family": "x",
        "n": 2,
        "score": 2.5,
        "ok": False,
        "at": "2026-01-01T00:00:00.0000002Z",
        "span": "1.00:00:00",
        "data": {"k": 2.5, "list": []},
    },
    {"id": "c", "family": "y", "n": 3, "data": [10, 20, 30]},
    {
        "id": "d",
        "family": "y",
        "score": -1.0,
        "ok": True,
        "at": "2025-12-31T23:59:59.9999999Z",
        "span": "00:00:00",
        "data": "text",
    },
    {
        "id": "e",
        "n": 5,
        "score": 0.0,
        "ok": False,
        "at": "2026-01-02T12:30:00Z",
        "span": "-00:00:01",
    },
]
OWNERS: list[dict[str, Any]] = [
    {"id": "a", "owner": "ann", "weight": 10},
    {"id": "c", "owner": "cid", "weight": 20},
    {"id": "c", "owner": "cat", "weight": 25},
    {"id": "z", "owner": "zoe", "weight": 30},
]


class Server:
    """The local server with the rows in it, and two ways to ask."""

    def __init__(self, local: LocalKusto, client: KustoClient) -> None:
        self._local = local
        self._client = client

    def fill(self) -> None:
        """Make the schema and ingest the rows."""
        for text in [*(text for _, text in SCHEMA), *STREAMING]:
            self._client.execute_mgmt(self._local.database, text)
        for table, records in (("Events", EVENTS), ("Owners", OWNERS)):
            body = "\n".join(json.dumps(record) for record in records).encode()
            self._client.execute_streaming_ingest(
                self._local.database, table, io.BytesIO(gzip.compress(body)), None, "multijson"
            )

    def ask(self, text: str, parameters: dict[str, Any]) -> list[list[list[Any]]]:
        """Run a query through Microsoft's SDK; return each result's rows as they were sent."""
        properties = ClientRequestProperties()  # type: ignore[no-untyped-call]  # the SDK's own
        for name, value in parameters.items():
            properties.set_parameter(name, value)
        answer = self._client.execute_query(self._local.database, text, properties)
        return [table.raw_rows for table in answer.primary_results]

    def post(self, text: str) -> tuple[int, Any]:
        """Send a query without any client; return the status and the body."""
        connection = http.client.HTTPConnection(urlsplit(self._local.url).netloc, timeout=30)
        try:
            connection.request(
                "POST",
                "/v2/rest/query",
                json.dumps({"db": self._local.database, "csl": text}),
                {"Accept": "application/json", "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@contextmanager
def running_server(seed: int | None = None) -> Iterator[Server]:
    """Run a local server that holds the rows."""
    with LocalKusto(database="Judged", seed=seed) as local, KustoClient(local.url) as client:
        server = Server(local, client)
        server.fill()
        yield server

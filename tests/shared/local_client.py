"""The local server over HTTP: Microsoft's client with shorthands, and raw requests."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import aiohttp
from azure.kusto.data import ClientRequestProperties
from azure.kusto.data.aio import KustoClient

from langgraph.checkpoint.kusto.local import LocalKusto


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

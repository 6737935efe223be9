"""The transport over Microsoft's SDK (`azure-kusto-data`).

One request per call, no retry, no batching; but a token the cluster no longer takes is asked for
anew, once. The SDK's client is made in `open`, because its constructor needs a running event loop.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import anyio
import orjson
from aiohttp import ClientPayloadError, ClientResponse, ClientSession
from azure.kusto.data import ClientRequestProperties, DataFormat, KustoConnectionStringBuilder
from azure.kusto.data._cloud_settings import CloudSettings
from azure.kusto.data.aio import KustoClient
from azure.kusto.data.client_base import ExecuteRequestParams
from azure.kusto.data.exceptions import KustoServiceError

from .._kql import ingest_inline
from .._threads import run_in_thread
from ..errors import RowsRejectedError, SaverClosedError
from ..options import Ingestion
from ._protocol import Table
from .answers import check_acknowledgement, read_command, read_query
from .credentials import CredentialAdapter, TokenCredential
from .endpoint import Endpoint, parse_ingestion_uri
from .failures import Kind, Request, hide_headers, status_of, translate
from .queued import BlockingCredential, QueuedSender

if TYPE_CHECKING:
    from typing_extensions import LiteralString

T = TypeVar("T")

logger = logging.getLogger(__name__)

_APPLICATION = "langgraph-checkpoint-kusto"
_GZIP_LEVEL = 1  # base64 gains a quarter at any level; higher ones only cost time
_GZIP_WINDOW = zlib.MAX_WBITS + 16  # with the header and the checksum of gzip
_LONG_ROW_BYTES = 4_096
_OFF_LOOP_BYTES = 256 * 1024
_NO_EXTENT = "00000000-0000-0000-0000-000000000000"  # ingest-inline: no data was made of the rows
_ANSWER_SECONDS = 5.0  # to answer in, when Kusto has used up the time it may work
_COMMAND_TIMEOUTS = 4  # a management command may take as long as so many queries
# Kusto's results end at 64 MB; as JSON a character may take several bytes.
_LARGEST_ANSWER_BYTES = 256 * 1024 * 1024


class _BoundedResponse(ClientResponse):
    """An answer that ends somewhere: what never ends would fill the memory until the timeout."""

    async def read(self) -> bytes:
        """Read the whole body, as aiohttp does, up to a bound."""
        if self._body is None:
            pieces: list[bytes] = []
            left = _LARGEST_ANSWER_BYTES
            async for piece in self.content.iter_any():
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    self.close()
                    raise ClientPayloadError(f"over {_LARGEST_ANSWER_BYTES} bytes")
            self._body = b"".join(pieces)
        return self._body

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] | None = None,
        content_type: str | None = "application/json",
    ) -> Any:
        """Read the answer as aiohttp does, but with orjson, and off the loop when it is large."""
        text = await super().json(encoding=encoding, loads=str, content_type=content_type)
        if text is None:
            return None
        if len(text) <= _OFF_LOOP_BYTES:
            return (loads or _from_json)(text)
        return await run_in_thread(loads or _from_json, text)


class _QuickProperties(ClientRequestProperties):
    """Properties of a request, written by orjson."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the SDK is half typed

    def to_json(self) -> str:
        """Write options and parameters, as the SDK does."""
        body = {"Options": self._options, "Parameters": self._parameters}
        return _to_json(body)


class _RawKustoClient(KustoClient):
    """The SDK's client without its result classes.

    They do not look at errors in the last frame, and parse datetimes to microseconds, which loses
    the tenth of a microsecond that Kusto keeps.
    """

    def __init__(self, connection: KustoConnectionStringBuilder) -> None:
        super().__init__(connection)
        session: Any = self._session  # annotated with the sync kind too
        session.detach()
        self._session = ClientSession(response_class=_BoundedResponse, json_serialize=_to_json)

    @staticmethod
    def _kusto_parse_by_endpoint(endpoint: str, response_json: Any) -> Any:
        if "/rest/ingest/" in endpoint:  # the SDK throws this answer away
            check_acknowledgement(response_json)
        return response_json

    async def execute_large_mgmt(self, body: bytes, properties: Any) -> Any:
        """Run a management command whose JSON is made already; aiohttp warns of large texts."""
        request = ExecuteRequestParams(
            io.BytesIO(body),
            None,
            {**self._request_headers, "Content-Type": "application/json; charset=utf-8"},
            "KPC.execute;",
            properties,
            self._mgmt_default_timeout,
            self._mgmt_default_timeout,
            self._client_server_delta,
            self.client_details,
        )
        return await self._execute(self._mgmt_endpoint, request, properties)


class SdkTransport:
    """Speaks to Kusto through `azure-kusto-data`.

    Args:
        endpoint: Cluster and database.
        credential: See `AsyncKustoSaver`.
        query_timeout: Seconds Kusto may work on a query.
        ingest_timeout: Seconds an ingest request may take.
        ingestion: How rows are sent, see `SaverOptions`.
        ingestion_uri: The Data Management endpoint, for queued ingestion.
        max_in_flight: How many ingest requests there may be at a time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        credential: TokenCredential | str | None = None,
        query_timeout: float = 30.0,
        ingest_timeout: float = 60.0,
        ingestion: Ingestion = "streaming",
        ingestion_uri: str | None = None,
        max_in_flight: int = 8,
    ) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._query_timeout = query_timeout
        self._ingest_timeout = ingest_timeout
        self._ingestion: Ingestion = ingestion
        self._ingestion_uri = parse_ingestion_uri(ingestion_uri, endpoint)
        self._queue: QueuedSender | None = None
        if ingestion == "queued":
            self._queue = QueuedSender(
                self._ingestion_uri,
                endpoint.database,
                self._queue_connection,
                threads=max_in_flight,
                timeout=ingest_timeout,
            )
        self._queue_credential: CredentialAdapter | None = None
        self._client: _RawKustoClient | None = None
        self._tokens: CredentialAdapter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        state = "open" if self._client is not None else "closed"
        return f"<SdkTransport {self._endpoint!r} {state}>"

    async def open(self) -> None:
        """Make the SDK's client; fetch the cloud's metadata off the loop (the call blocks)."""
        loop = asyncio.get_running_loop()
        if self._client is not None and self._loop is loop:
            return
        await self._forget_client()
        if self._endpoint.needs_token:
            await self._guard(self._fetch_cloud_metadata, "query", self._query_timeout)
        client = await self._guard(self._make_client, "query", self._query_timeout)
        client.client_details.application_for_tracing = _APPLICATION
        if self._queue is not None:
            self._queue_credential = None  # one of another loop cannot be closed properly
            await self._queue.open()
        self._client, self._loop = client, loop
        logger.debug("opened %r", self)

    async def aclose(self) -> None:
        """Close the SDK's clients."""
        await self._close_queue()
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]  # the SDK is half typed
            logger.debug("closed %r", self)

    async def _forget_client(self) -> None:
        """Drop a client whose event loop is gone; its connections cannot be closed properly."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._loop is not None and self._loop.is_closed():
            await client.close()  # type: ignore[no-untyped-call]  # aiohttp waits for nothing then
        else:
            session: Any = client._session  # annotated with the sync kind too
            session.detach()
        logger.debug("dropped the client of another event loop")

    async def _close_queue(self) -> None:
        if self._queue is not None:
            await self._queue.aclose()
        credential, self._queue_credential = self._queue_credential, None
        if credential is not None:
            await credential.close()

    async def query(self, text: LiteralString, parameters: Mapping[str, str | int]) -> list[Table]:
        """See `Transport.query`."""
        client = self._opened()
        properties = self._query_properties()
        for name, value in parameters.items():
            # The SDK says str, and sends any JSON value; Kusto takes numbers for long parameters.
            properties.set_parameter(name, value)

        async def send() -> list[Table]:
            frames = await client.execute_query(self._endpoint.database, text, properties)
            return read_query(frames, self._request("query"))

        return await self._guard(send, "query", self._query_timeout + _ANSWER_SECONDS)

    async def command(self, text: str) -> Table:
        """See `Transport.command`."""
        client = self._opened()

        async def send() -> Table:
            body = await client.execute_mgmt(self._endpoint.database, text)
            return read_command(body, self._request("command"))

        return await self._guard(send, "command", self._query_timeout * _COMMAND_TIMEOUTS)

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        """See `Transport.ingest`."""
        if self._ingestion == "inline":
            await self._ingest_inline(table, mapping, payload)
        elif self._queue is not None:
            self._opened()
            await self._queue.send(table, mapping, payload)
        else:
            await self._stream(table, mapping, payload)

    async def _ingest_inline(self, table: str, mapping: str, payload: bytes) -> None:
        """Send rows as the data of a management command."""
        client = self._opened()
        request, properties = self._request("ingest", table), self._command_properties()

        def encode() -> bytes:
            text = ingest_inline(table, mapping) + payload.decode()
            command = {"db": self._endpoint.database, "csl": text}
            return orjson.dumps({**command, "properties": properties.to_json()})

        body = await self._maybe_off_loop(encode, payload)

        async def send() -> None:
            answer = read_command(await client.execute_large_mgmt(body, properties), request)
            if all(record.get("ExtentId") == _NO_EXTENT for record in answer.records()):
                raise RowsRejectedError(
                    f"Kusto took no row of the {request} and gave no reason; check that the tables"
                    " are those of provision.kql"
                )

        await self._guard(send, "ingest", self._ingest_timeout, table)

    async def _stream(self, table: str, mapping: str, payload: bytes) -> None:
        """Send rows by streaming ingestion."""
        client = self._opened()
        body = await self._maybe_off_loop(lambda: _compress(payload), payload)

        async def send() -> None:
            await client.execute_streaming_ingest(
                # The SDK pastes the name into the URL as it is.
                quote(self._endpoint.database, safe=""),
                table,
                io.BytesIO(body),
                None,
                DataFormat.MULTIJSON,
                mapping_name=mapping,
            )

        await self._guard(send, "ingest", self._ingest_timeout, table)

    @staticmethod
    async def _maybe_off_loop(work: Callable[[], bytes], payload: bytes) -> bytes:
        if len(payload) > _OFF_LOOP_BYTES:
            return await run_in_thread(work)
        return work()

    def _opened(self) -> _RawKustoClient:
        if self._client is None:
            raise SaverClosedError
        return self._client

    def _request(self, kind: Kind, table: str = "") -> Request:
        way: Ingestion = self._ingestion if kind == "ingest" else "streaming"
        return Request(kind, self._endpoint.uri, self._endpoint.database, table, way)

    async def _guard(
        self, send: Callable[[], Awaitable[T]], kind: Kind, timeout: float, table: str = ""
    ) -> T:
        """Send with a time bound, and let nothing but our own errors out."""
        try:
            # Not `wait_for`, which before Python 3.12 loses a cancellation that comes together with
            # the answer: the caller would go on as if nobody had cancelled it.
            with anyio.fail_after(timeout):
                return await self._with_token(send)
        except (TimeoutError, asyncio.TimeoutError) as error:  # one class from Python 3.11 on
            raise translate(
                TimeoutError(f"no answer in {timeout:g} s"), self._request(kind, table)
            ) from error
        except Exception as error:  # the one boundary: everything is translated, nothing hidden
            hide_headers(error)
            raise translate(error, self._request(kind, table)) from error

    async def _with_token(self, send: Callable[[], Awaitable[T]]) -> T:
        """Send; send again with another token when a kept one is refused (nothing landed then)."""
        kept = self._tokens is not None and self._tokens.keeps_any
        try:
            return await send()
        except KustoServiceError as error:
            if not kept or self._tokens is None or status_of(error.http_response) != 401:
                raise
            logger.info("the cluster refused a token, asking for another")
            self._tokens.forget()
        return await send()

    def _connection_string(self) -> KustoConnectionStringBuilder:
        endpoint = self._endpoint
        if endpoint.connection_string is not None and self._credential is None:
            return KustoConnectionStringBuilder(endpoint.connection_string)
        if not endpoint.needs_token:
            return KustoConnectionStringBuilder.with_no_authentication(endpoint.uri)
        self._tokens = CredentialAdapter(self._credential)
        return KustoConnectionStringBuilder.with_azure_token_credential(endpoint.uri, self._tokens)

    def _queue_connection(self, loop: asyncio.AbstractEventLoop) -> KustoConnectionStringBuilder:
        """The same identity for the Data Management endpoint, whose client blocks."""
        endpoint, uri = self._endpoint, self._ingestion_uri
        if endpoint.connection_string is not None and self._credential is None:
            found = KustoConnectionStringBuilder(endpoint.connection_string)
            found["Data Source"] = uri
        elif not uri.startswith("https://"):
            found = KustoConnectionStringBuilder.with_no_authentication(uri)
        else:
            self._queue_credential = self._queue_credential or CredentialAdapter(self._credential)
            blocking = BlockingCredential(self._queue_credential, loop)
            found = KustoConnectionStringBuilder.with_azure_token_credential(uri, blocking)
        found.application_for_tracing = _APPLICATION
        return found

    def _query_properties(self) -> Any:
        properties: Any = _QuickProperties()
        timeout = timedelta(seconds=self._query_timeout)
        properties.set_option(ClientRequestProperties.request_timeout_option_name, timeout)
        properties.set_option("deferpartialqueryfailures", False)
        properties.set_option("results_error_reporting_placement", "in_data")
        if not self._endpoint.is_fabric:
            properties.set_option("queryconsistency", "strongconsistency")
        return properties

    def _command_properties(self) -> Any:
        properties: Any = _QuickProperties()
        timeout = timedelta(seconds=self._ingest_timeout)
        properties.set_option(ClientRequestProperties.request_timeout_option_name, timeout)
        return properties

    async def _make_client(self) -> _RawKustoClient:
        client: _RawKustoClient = _RawKustoClient(self._connection_string())
        return client

    async def _fetch_cloud_metadata(self) -> None:
        await run_in_thread(
            CloudSettings.get_cloud_info_for_cluster, self._endpoint.uri, abandon_on_cancel=True
        )


def _compress(payload: bytes) -> bytes:
    """Write as gzip. Long rows are mostly base64, which repeats nothing that is worth a search."""
    long = len(payload) >= _LONG_ROW_BYTES * (payload.count(b"\n") + 1)
    strategy = zlib.Z_HUFFMAN_ONLY if long else zlib.Z_DEFAULT_STRATEGY
    gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW, strategy=strategy)
    return gzip.compress(payload) + gzip.flush()


def _to_json(body: object) -> str:
    return orjson.dumps(body, default=str).decode()


def _from_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)  # takes NaN and lone surrogates, as the SDK does

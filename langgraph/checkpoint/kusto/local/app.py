"""The REST endpoints of the local server.

Lives here: routes, headers, reading bodies, errors as responses, faults, counting. Does not live
here: what a request does (`cluster`) and what its answer looks like (`responses`).

Everything that blocks runs in worker threads; the event loop moves bytes, and parses a few of them.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from . import errors, responses
from .cluster import Cluster
from .coercion import MEBIBYTE
from .commands import CommandResult
from .errors import ServiceError
from .exchange import Exchange, Reset
from .faults import Faults
from .kql import Column, ResultTable
from .request import (
    DEFAULT_MANAGEMENT_SECONDS,
    DEFAULT_QUERY_SECONDS,
    QueryRequest,
    RequestIds,
    parse_body,
)
from .traffic import RequestLog, RequestRecord

logger = logging.getLogger(__name__)

# ingest-data-streaming.md; counted unpacked, the only reading that every source agrees with.
MAX_STREAM_BYTES = 4 * MEBIBYTE
# A bound of ours, so that no body fills the memory: of a compressed ingest, of any other request.
MAX_WIRE_BYTES = 128 * MEBIBYTE
# Less work than handing it to another thread: what is sent of it, unpacked of an ingest.
SMALL_BYTES = 16 * 1024
INGESTED = tuple(
    Column(name, type_)
    for name, type_ in (
        ("ConsumedRecordsCount", "long"),
        ("UpdatePolicyStatus", "string"),
        ("UpdatePolicyFailureCode", "string"),
        ("UpdatePolicyFailureReason", "string"),
    )
)


QueryWork = Callable[[Exchange, QueryRequest], Awaitable[bytes]]


class RestApi:
    """The endpoints over one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        executor: Executor,
        faults: Faults,
        requests: RequestLog,
        token: Callable[[], str | None],
    ) -> None:
        self._cluster = cluster
        self._executor = executor
        self._faults = faults
        self._requests = requests
        self._token = token

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=MAX_WIRE_BYTES)
        app.router.add_get("/", self.ping)
        app.router.add_get("/v1/rest/ping", self.ping)
        app.router.add_get("/v1/rest/auth/metadata", self.metadata)
        for method in ("GET", "POST"):
            app.router.add_route(method, "/v1/rest/query", self.query_v1)
            app.router.add_route(method, "/v2/rest/query", self.query_v2)
        app.router.add_post("/v1/rest/mgmt", self.mgmt)
        app.router.add_post("/v1/rest/ingest/{database}/{table}", self.ingest)
        app.router.add_route("*", "/{path:.*}", self.unknown)
        return app

    async def ping(self, request: web.Request) -> web.Response:
        """Tell that the server lives."""
        return web.json_response({"status": "ok"})

    async def metadata(self, request: web.Request) -> web.Response:
        """Tell that there is no Entra ID here, as Microsoft's emulator does."""
        return web.json_response({"AzureAD": None, "dSTS": None})

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        """Refuse a path that is no endpoint."""
        ids = RequestIds.of(request.headers)
        return self._failure(request, errors.not_found(request.path), ids)

    async def query_v1(self, request: web.Request) -> web.StreamResponse:
        """Answer a query in the first version of the protocol."""
        return await self._answer("query", request, self._query_v1)

    async def query_v2(self, request: web.Request) -> web.StreamResponse:
        """Answer a query in the second version of the protocol."""
        return await self._answer("query", request, self._query_v2)

    async def mgmt(self, request: web.Request) -> web.StreamResponse:
        """Run a management command."""
        return await self._answer("mgmt", request, self._manage)

    async def ingest(self, request: web.Request) -> web.StreamResponse:
        """Take rows by streaming ingestion."""
        return await self._answer("ingest", request, None)

    async def _answer(
        self, endpoint: str, request: web.Request, work: QueryWork | None
    ) -> web.StreamResponse:
        """Carry out one request, whatever becomes of it."""
        exchange = Exchange(endpoint, request, RequestIds.of(request.headers))
        status = 200
        try:
            self._authenticate(request)
            await self._read(exchange)
            await exchange.meet("before")
            if exchange.parsed is not None and work is not None:
                body = await work(exchange, exchange.parsed)
            else:
                body = await self._ingest(exchange)
            exchange.answer_bytes = len(body)
            await exchange.meet("after")
            headers = _headers(exchange.ids)
            cut = exchange.fault("cut")
            if cut is None:
                response: web.StreamResponse = web.Response(body=body, headers=headers)
            else:
                status = 0
                response = await exchange.cut(cut, body, headers)
        except Reset:
            status = 0
            exchange.abort()
            response = web.Response()
        except ServiceError as error:
            status = error.status
            response = self._failure(request, error, exchange.ids)
        except Exception as error:
            logger.exception("%s request failed: %s", endpoint, exchange.text[:500])
            status = 520
            response = self._failure(request, _unexpected(error), exchange.ids)
        self._count(exchange, status)
        return response

    def _authenticate(self, request: web.Request) -> None:
        token = self._token()
        if token is None:
            return
        if request.headers.get("Authorization") != f"Bearer {token}":
            raise errors.unauthorized()

    async def _read(self, exchange: Exchange) -> None:
        """Read the body and what it is about."""
        request = exchange.request
        try:
            wire = await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise _too_large(request, MAX_WIRE_BYTES) from error
        exchange.wire_bytes = len(wire)
        exchange.body = wire
        if exchange.endpoint == "ingest":
            exchange.database = request.match_info["database"]
            exchange.table = request.match_info["table"]
        encoding = request.headers.get("Content-Encoding", "").lower()
        if encoding not in ("", "identity", "gzip"):
            raise errors.bad_request(
                f"The content encoding '{encoding}' is not supported: use gzip."
            )
        if encoding == "gzip":
            limit = MAX_STREAM_BYTES if exchange.endpoint == "ingest" else MAX_WIRE_BYTES
            exchange.body = await self._maybe_in_thread(
                lambda: _unpacked(exchange, wire, limit), len(wire)
            )
        if exchange.endpoint != "ingest":
            exchange.parsed = self._parsed(exchange)
            exchange.database = exchange.parsed.database
        exchange.faults = tuple(
            self._faults.take(exchange.endpoint, exchange.table, exchange.text, exchange.body)
        )

    def _parsed(self, exchange: Exchange) -> QueryRequest:
        default = self._cluster.settings.database
        request = exchange.request
        sent = orjson.dumps(dict(request.query)) if request.method == "GET" else exchange.body
        parsed = parse_body(sent, default)
        if request.headers.get("x-ms-readonly", "").lower() == "true":
            return replace(parsed, options={**parsed.options, "request_readonly": True})
        return parsed

    async def _query_v2(self, exchange: Exchange, parsed: QueryRequest) -> bytes:
        partial = exchange.fault("partial")

        def run() -> bytes:
            encoded, error = self._results(exchange, parsed)
            if partial is not None:
                error = partial.error(exchange.request.path)
            return responses.v2(
                encoded,
                exchange.ids,
                placement=parsed.placement,
                deferred=parsed.deferred,
                error=error,
                only=None if partial is None else partial.place,
            )

        return await self._timed(run, parsed.seconds(DEFAULT_QUERY_SECONDS))

    async def _query_v1(self, exchange: Exchange, parsed: QueryRequest) -> bytes:
        partial = exchange.fault("partial")

        def run() -> bytes:
            encoded, error = self._results(exchange, parsed)
            if error is not None:
                raise error
            answer = responses.v1_query(encoded, exchange.ids)
            if partial is not None:
                error = partial.error(exchange.request.path)
                return responses.v1_failed(answer, error, at_top=partial.place != "rows")
            return answer

        return await self._timed(run, parsed.seconds(DEFAULT_QUERY_SECONDS))

    def _results(
        self, exchange: Exchange, parsed: QueryRequest
    ) -> tuple[list[tuple[ResultTable, responses.Rows]], ServiceError | None]:
        tables = self._cluster.query(parsed, exchange.ids, exchange.hidden())
        encoded, error = _encoded(parsed, tables)
        exchange.rows = sum(rows.count for _, rows in encoded)
        return encoded, error

    async def _manage(self, exchange: Exchange, parsed: QueryRequest) -> bytes:
        partial, script = exchange.fault("partial"), exchange.fault("script")
        path = exchange.request.path

        def script_error(index: int) -> ServiceError | None:
            return None if script is None else script.script_error(index, path)

        def run() -> bytes:
            with self._disk(exchange):
                result: CommandResult = self._cluster.manage(
                    parsed, exchange.ids, script_error, exchange.written_of
                )
            exchange.rows = len(result.rows)
            answer = responses.v1([ResultTable("Table_0", result.columns, result.rows)])
            if partial is not None:
                error = partial.error(path)
                return responses.v1_failed(answer, error, at_top=partial.place != "rows")
            return answer

        answer = await self._timed(run, parsed.seconds(DEFAULT_MANAGEMENT_SECONDS))
        exchange.check_prefix()
        return answer

    async def _ingest(self, exchange: Exchange) -> bytes:
        request = exchange.request
        if not self._cluster.settings.streaming:
            raise errors.not_found(request.path)
        if len(exchange.body) > MAX_STREAM_BYTES:
            raise _too_large(request, len(exchange.body))
        options = {name.lower(): value for name, value in request.query.items()}
        if "streamformat" not in options:
            raise errors.bad_request("The query parameter 'streamFormat' is missing.")
        if "sourcekind" in options:
            raise errors.bad_request(
                "The local server streams request bodies only, not blobs (sourceKind=uri)."
            )
        prefix = exchange.fault("prefix")

        def ingest() -> Future[int]:
            with self._disk(exchange):
                return self._cluster.ingest(
                    exchange.database,
                    exchange.table,
                    options["streamformat"],
                    options.get("mappingname"),
                    exchange.body,
                    None if prefix is None else prefix.prefix_of,
                )

        for _ in range(1 if exchange.fault("duplicate") is None else 2):
            submitted = await self._maybe_in_thread(ingest, len(exchange.body))
            exchange.rows = await asyncio.wrap_future(submitted)
        exchange.check_prefix()
        row = (exchange.rows, "Inactive", "Unknown", None)
        return responses.v1([ResultTable("Table_0", INGESTED, [row])])

    def _disk(self, exchange: Exchange) -> AbstractContextManager[None]:
        """Return what a worker thread writes in: under a fault, the disk is full."""
        if exchange.fault("disk_full") is None:
            return nullcontext()
        return self._cluster.storage.full_disk()

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _maybe_in_thread(self, work: Callable[[], Any], size: int) -> Any:
        """Run work that does not wait for anything, in a thread when it is about many bytes."""
        return work() if size <= SMALL_BYTES else await self._in_thread(work)

    async def _timed(self, work: Callable[[], bytes], seconds: float) -> bytes:
        """Run work in a thread; a thread cannot be stopped, so late work ends unheard."""
        try:
            return await asyncio.wait_for(self._in_thread(work), seconds)
        except asyncio.TimeoutError:
            raise errors.timed_out(seconds) from None

    def _count(self, exchange: Exchange, status: int) -> None:
        self._requests.add(
            RequestRecord(
                endpoint=exchange.endpoint,
                database=exchange.database,
                table=exchange.table,
                status=status,
                wire_bytes=exchange.wire_bytes,
                body_bytes=len(exchange.body),
                rows=exchange.rows,
                text=exchange.text,
                answer_bytes=exchange.answer_bytes,
            )
        )

    def _failure(self, request: web.Request, error: ServiceError, ids: RequestIds) -> web.Response:
        headers = _headers(ids)
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if error.retry_after is not None:
            headers["Retry-After"] = f"{error.retry_after:g}"
        if "Accept" not in request.headers:
            # response.md: without an Accept header a failure need not be JSON.
            headers["Content-Type"] = "text/plain; charset=utf-8"
            return web.Response(text=error.detail, status=error.status, headers=headers)
        body = orjson.dumps(responses.error_body(error, ids))
        return web.Response(body=body, status=error.status, headers=headers)


def _encoded(
    parsed: QueryRequest, tables: list[ResultTable]
) -> tuple[list[tuple[ResultTable, responses.Rows]], ServiceError | None]:
    """Return results with their rows as JSON, up to the limits of the whole answer."""
    records, size = parsed.limits()
    too_large = errors.limits_exceeded(
        f"E_QUERY_RESULT_SET_TOO_LARGE: the result has more than {records} records or {size} bytes"
    )
    encoded: list[tuple[ResultTable, responses.Rows]] = []
    for table in tables:
        rows = responses.encode_rows(table, records, size, too_large)
        encoded.append((table, rows))
        if rows.error is not None:
            return encoded, rows.error
        records = None if records is None else records - rows.count
        size = None if size is None else size - len(rows.text)
    return encoded, None


def _unpacked(exchange: Exchange, wire: bytes, limit: int) -> bytes:
    """Return a gzip body unpacked, never more than a limit of it."""
    pieces: list[bytes] = []
    left = limit + 1
    while wire and left:
        member = zlib.decompressobj(wbits=31)
        try:
            piece = member.decompress(wire, left)
        except zlib.error as error:
            raise errors.bad_request(f"The gzip body is not valid: {error}") from error
        pieces.append(piece)
        left -= len(piece)
        if left and not member.eof:
            raise errors.bad_request("The gzip body is not valid: it ends too early.")
        wire = member.unused_data
    if not left:
        raise _too_large(exchange.request, limit + 1)
    return b"".join(pieces)


def _too_large(request: web.Request, found: int) -> ServiceError:
    names = request.match_info
    database, table = names.get("database", ""), names.get("table", "")
    limit = MAX_STREAM_BYTES if table else MAX_WIRE_BYTES
    return errors.streaming_too_large(database, table, found, limit)


def _unexpected(error: Exception) -> ServiceError:
    if isinstance(error, sqlite3.OperationalError) and "disk" in str(error):
        return errors.storage_failed(str(error))
    return errors.internal(repr(error))


def _headers(ids: RequestIds) -> dict[str, str]:
    return {
        "Content-Type": "application/json; charset=utf-8",
        "x-ms-client-request-id": ids.client_request_id,
        "x-ms-activity-id": ids.activity_id,
    }

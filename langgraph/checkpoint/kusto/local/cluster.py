"""The engine room: databases, rows, queries and commands, without HTTP.

Lives here: carrying out a query, a command or an ingest, and what the settings of the server change
about it. Does not live here: HTTP and faults (`app`), and the life cycle (`server`).

Everything here blocks and is called from worker threads.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from . import expiry, ingest, policies
from .azurite import Azurite
from .catalog import Catalog
from .clock import TICKS_PER_SECOND, ServerClock
from .commands import CommandContext, CommandResult, execute
from .commands.ingestion_resources import is_of_data_management
from .errors import ServiceError, entity_not_found, query_error, streaming_request
from .kql import KqlError, ResultTable, run_query
from .moments import Moments, stamped_by
from .operations import Executed, Operations
from .request import QueryRequest, RequestIds
from .roles import Access, require
from .schema import Database, Table
from .storage import Storage
from .tables import QueryCatalog

Rows = list[tuple[Any, ...]]

# Streaming nodes may use an old schema for up to five minutes (ingest-data-streaming.md).
SCHEMA_CACHE_TICKS = 300 * TICKS_PER_SECOND


@dataclass(frozen=True)
class Settings:
    """What may differ between two local servers over the same file."""

    database: str
    seed: int | None = None
    visibility: float = 0.0
    streaming: bool = True
    schema_cache: bool = False
    roles: frozenset[str] = frozenset({"admin"})
    azurite: Azurite | None = None


class Cluster:
    """The databases of one file and what can be done with them."""

    def __init__(
        self, storage: Storage, settings: Settings, clock: ServerClock | None = None
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.clock = clock or ServerClock()
        self.catalog = Catalog(storage, self.clock.now)
        self.operations = Operations()
        self._schema_cache: dict[str, tuple[int, Database]] = {}
        self._moments: Moments | None = None
        self._random = None if settings.seed is None else random.Random(settings.seed)
        self._random_lock = threading.Lock()

    def open(self) -> None:
        """Open the file and read its databases.

        Raises:
            LocalKustoError: the file is in use, or not one of ours.
        """
        self.storage.open()
        try:
            self.catalog.load(self.settings.database)
            self.clock.not_before(self.catalog.clock.last)
            self.drop_expired()
        except BaseException:
            self.storage.close()
            raise
        if self.settings.seed is not None:
            self._moments = Moments(
                self.catalog.clock, self.clock.now, self.settings.seed, self.settings.visibility
            )

    def close(self) -> None:
        """Finish what was submitted and close the file."""
        self.storage.close()

    def query(
        self, request: QueryRequest, ids: RequestIds, hidden: Mapping[str, float] | None = None
    ) -> list[ResultTable]:
        """Run a query and return its results.

        Args:
            request: the query.
            ids: identifiers of the request.
            hidden: for a fault, how many seconds tables and views hide what they took.

        Raises:
            ServiceError: it is refused or fails.
        """
        require(self.settings.roles, Access.QUERY, "Query")
        database = self.catalog.database(request.database)
        started = self.clock.now()
        try:
            results = self._run(request, database, hidden)
        except ServiceError as error:
            self._note("", request, ids, started, error)
            raise
        self._note("", request, ids, started, None)
        take = request.take()
        if take is None:
            return results
        return [ResultTable(r.name, r.columns, r.rows[:take]) for r in results]

    def manage(
        self,
        request: QueryRequest,
        ids: RequestIds,
        script_error: Callable[[int], ServiceError | None] = lambda _: None,
        written_of: Callable[[Rows], Rows] = lambda rows: rows,
    ) -> CommandResult:
        """Run a management command and return its result.

        Args:
            request: the command.
            ids: identifiers of the request.
            script_error: tells, for a fault, how the command at a place of a script fails.
            written_of: tells, for a fault, what is written of the rows of a command.

        Raises:
            ServiceError: it is not understood, not allowed, or fails.
        """
        if is_of_data_management(request.text):
            # Of no database: clients name the one that every Data Management service has.
            request = replace(request, database=self.settings.database)
        database = self.catalog.database(request.database)
        started = self.clock.now()
        try:
            context = self._context(database, request, script_error, written_of)
            command, result = execute(request.text, context)
        except ServiceError as error:
            self._note("Unknown", request, ids, started, error)
            raise
        self._note(command.kind, request, ids, started, None)
        return result

    def ingest(
        self,
        database: str,
        table: str,
        format_: str,
        mapping: str | None,
        body: bytes,
        only_first: Callable[[int], int] | None = None,
    ) -> Future[int]:
        """Submit the rows of a streaming ingest; the future answers their number once committed.

        Args:
            database: its name.
            table: its name.
            format_: the body's data format.
            mapping: the name of a mapping, or None.
            body: the records, unpacked.
            only_first: tells, for a fault, how many of the body's rows to write.

        Raises:
            ServiceError: the body, the table or the mapping is not right.
        """
        require(self.settings.roles, Access.INGEST, "StreamingIngestion")
        schema = self._ingest_schema(database)
        found = schema.tables.get(table)
        if found is None:
            raise entity_not_found("Table", table)
        if not policies.streaming_enabled(schema, found):
            raise streaming_request(
                schema.name, table, "Streaming ingestion policy is not enabled for the table"
            )
        format_ = ingest.format_named(format_)
        named = ingest.mapping_named(schema, found, format_, mapping)
        try:
            rows = ingest.rows_of(found, named, format_, body)
        except ingest.IngestError as error:
            raise streaming_request(schema.name, table, str(error)) from error
        if not rows:
            raise streaming_request(
                schema.name,
                table,
                "The input stream is empty after processing, tip:check stream validity",
            )
        return self._submit(found, rows if only_first is None else rows[: only_first(len(rows))])

    def ingest_queued(
        self, database: str, table: str, format_: str, mapping: str | None, body: bytes
    ) -> Future[int]:
        """Submit the rows of a queued blob; no streaming policy and no schema cache matters.

        Raises:
            ServiceError: the body, the database, the table or the mapping is not right.
        """
        schema = self.catalog.database(database)
        found = schema.tables.get(table)
        if found is None:
            raise entity_not_found("Table", table)
        format_ = ingest.format_named(format_)
        named = ingest.mapping_named(schema, found, format_, mapping)
        try:
            return self._submit(found, ingest.rows_of(found, named, format_, body))
        except ingest.IngestError as error:
            raise ingest.refused(error) from error

    def advance(self, days: float) -> int:
        """Set the server's clock forward, apply retention, and return how many rows it dropped."""
        self.clock.advance(days)
        return self.drop_expired()

    def drop_expired(self) -> int:
        """Delete what is older than its table's or view's retention; return how many rows.

        retention-policy.md: never before the period, and later at an unspecified time: here when
        the server starts and when its clock is set forward.
        """
        return expiry.drop_expired(self.catalog, self.storage, self.clock.now())

    def clear_schema_cache(self) -> None:
        """Let the next ingest see the newest schema."""
        self._schema_cache.clear()

    def _run(
        self,
        request: QueryRequest,
        database: Database,
        hidden: Mapping[str, float] | None = None,
    ) -> list[ResultTable]:
        rng = self._request_random()
        moments = None if rng is None or self._moments is None else self._moments.begin(rng)
        now = self.clock.now()
        shown_until = {name: now - int(s * TICKS_PER_SECOND) for name, s in (hidden or {}).items()}
        try:
            with (
                self.storage.reading(snapshot=moments is None) as reader,
                QueryCatalog(database, reader, moments, shown_until) as catalog,
            ):
                return run_query(
                    request.text, request.parameters, catalog, now_ticks=self.clock.now(), rng=rng
                )
        except KqlError as error:
            raise query_error(error.kind, error.code, error.message) from error
        except sqlite3.OperationalError as error:
            if not str(error).startswith("no such "):
                raise
            # A table or column that was dropped after the query had begun.
            raise query_error("runtime", "E_TABLE_DROPPED", str(error)) from error

    def _submit(self, table: Table, rows: Rows) -> Future[int]:
        clock = self.catalog.clock
        if self._moments is None:
            return self.storage.submit(ingest.insert_job(table, rows, clock))
        stamp, stamped = stamped_by(self._moments)
        written = self.storage.submit(ingest.insert_job(table, rows, clock, stamp))
        return self._moments.acknowledge(written, stamped)

    def _context(
        self,
        database: Database,
        request: QueryRequest,
        script_error: Callable[[int], ServiceError | None],
        written_of: Callable[[Rows], Rows],
    ) -> CommandContext:
        return CommandContext(
            catalog=self.catalog,
            storage=self.storage,
            operations=self.operations,
            database=database.name,
            roles=self.settings.roles,
            streaming=self.settings.streaming,
            clear_schema_cache=self.clear_schema_cache,
            now=self.clock.now,
            append=lambda table, rows: self._submit(table, written_of(rows)),
            azurite=self.settings.azurite,
            read_only=request.read_only,
            script_error=script_error,
        )

    def _ingest_schema(self, name: str) -> Database:
        """Return the schema ingestion uses: the newest, or with a schema cache an old one."""
        newest = self.catalog.database(name)
        if not self.settings.schema_cache:
            return newest
        key = newest.name.casefold()
        until, cached = self._schema_cache.get(key, (0, newest))
        if self.clock.now() < until:
            return cached
        self._schema_cache[key] = (self.clock.now() + SCHEMA_CACHE_TICKS, newest)
        return newest

    def _request_random(self) -> random.Random | None:
        """Return a generator of this request's own, so that threads do not share one."""
        if self._random is None:
            return None
        with self._random_lock:
            return random.Random(self._random.getrandbits(64))

    def _note(
        self,
        kind: str,
        request: QueryRequest,
        ids: RequestIds,
        started: int,
        error: ServiceError | None,
    ) -> None:
        self.operations.note(
            Executed(
                kind=kind,
                text=request.text,
                database=request.database,
                started=started,
                finished=self.clock.now(),
                state="Completed" if error is None else "Failed",
                reason="" if error is None else error.detail,
                client_request_id=ids.client_request_id,
                activity_id=ids.activity_id,
            )
        )

"""What every management command shares.

Lives here: the context a command runs in, its result, the registry by leading words, its `async`
form, and the pipe that may follow it. Does not live here: any particular command (the other files
of this folder).

A command has two steps: its function reads the text and returns a `Command`, and only when the
whole text was understood is `run` called. So nothing changes before the last word has been read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..azurite import Azurite
from ..catalog import Catalog
from ..cursor import Cursor
from ..errors import ServiceError, bad_request, entity_not_found, query_error
from ..kql import Column, KqlError, ResultTable, run_query
from ..operations import Operation, Operations
from ..roles import Access, require
from ..schema import Database, Table, View
from ..storage import Storage
from ..tables import QueryCatalog
from ..text import error_at

Row = tuple[Any, ...]
Step = Callable[[Database], Database]


@dataclass(frozen=True)
class CommandContext:
    """Everything a command may need: the databases, the caller's roles, the moment."""

    catalog: Catalog
    storage: Storage
    operations: Operations
    database: str
    roles: frozenset[str]
    streaming: bool
    clear_schema_cache: Callable[[], None]
    now: Callable[[], int]
    append: Callable[[Table, list[Row]], Future[int]]
    """Writes rows as they arrive by ingestion, visible when the server's seed says so."""
    azurite: Azurite | None = None
    """The storage of queued ingestion, if there is one."""
    read_only: bool = False
    script_error: Callable[[int], ServiceError | None] = lambda _: None

    @property
    def current(self) -> Database:
        """The database of the request, as it is now."""
        return self.catalog.database(self.database)

    def require(self, access: Access, operation: str) -> None:
        """Refuse the operation when the caller's roles do not include what it needs."""
        require(self.roles, access, operation)

    def change(self, step: Step) -> Database:
        """Change the database of the request and return it as it is then."""
        return self.catalog.change(self.database, step)[1]

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> ResultTable:
        """Run a query for a command and return its only table.

        Raises:
            ServiceError: the query is refused, fails, or has several results.
        """
        with (
            self.storage.reading() as reader,
            QueryCatalog(self.current, reader) as catalog,
        ):
            try:
                results = run_query(text, parameters or {}, catalog, now_ticks=self.now())
            except KqlError as error:
                raise query_error(error.kind, error.code, error.message) from error
        if len(results) != 1:
            raise bad_request("The query of a command must have one result.")
        return results[0]


@dataclass(frozen=True)
class CommandResult:
    """The table a command answers with."""

    columns: tuple[Column, ...]
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Command:
    """A command that was read and not yet run.

    `kind` is the name Kusto gives the command in `.show commands` and in script results.
    """

    kind: str
    access: Access
    run: Callable[[], CommandResult]
    read_only: bool = False


def showing(kind: str, run: Callable[[], CommandResult], access: Access = Access.SHOW) -> Command:
    """Return a command that changes nothing."""
    return Command(kind, access, run, read_only=True)


def as_operation(
    run: Callable[[], CommandResult], context: CommandContext, kind: str
) -> Callable[[], CommandResult]:
    """Return the `async` form of a command: it is done at once and answers an operation id."""

    def run_as_operation() -> CommandResult:
        started = context.now()
        run()
        done = Operation(kind, context.database, started, context.now(), "Completed", "")
        return CommandResult(_OPERATION_ID, [(context.operations.add(done).id,)])

    return run_as_operation


Reader = Callable[[Cursor, CommandContext], Command]
_READERS: dict[tuple[str, ...], Reader] = {}


def command(*words: str) -> Callable[[Reader], Reader]:
    """Register the reader of the commands that begin with these words."""

    def register(reader: Reader) -> Reader:
        if words in _READERS:
            raise ValueError(f"two readers for {words}")
        _READERS[words] = reader
        return reader

    return register


def columns(text: str) -> tuple[Column, ...]:
    """Return columns written as `name:type` and separated by spaces."""
    return tuple(Column(*part.split(":")) for part in text.split())


def read(text: str, context: CommandContext) -> tuple[Command, str]:
    """Read a command without running it; return it and the query piped after it, if any.

    Raises:
        ServiceError: the text is no command this server knows.
    """
    cursor = Cursor(text)
    if not cursor.accept("."):
        raise cursor.error("A management command must begin with a dot")
    words: tuple[str, ...] = ()
    while any(known[: len(words) + 1] == (*words, cursor.peek().text) for known in _READERS):
        words = (*words, cursor.take().text)
    reader = _READERS.get(words)
    if reader is None:
        raise cursor.error(
            "A recognition error occurred: this is no management command, or none the local "
            "server knows"
        )
    result = reader(cursor, context)
    pipe = ""
    if result.read_only and cursor.at("|"):
        start = cursor.peek().start
        pipe = cursor.rest("|")
        if not pipe.strip():
            raise error_at(text, start, "Expected a query operator after '|'.")
    cursor.end()
    return result, pipe


def execute(text: str, context: CommandContext) -> tuple[Command, CommandResult]:
    """Read and run a command, and the query piped after it.

    Raises:
        ServiceError: it is not understood, not allowed, or fails.
    """
    command_, pipe = read(text, context)
    context.require(command_.access, command_.kind)
    if context.read_only and not command_.read_only:
        raise bad_request(f"The request is read-only, '{command_.kind}' is not.")
    result = command_.run()
    return command_, piped(result, pipe, context) if pipe else result


def piped(result: CommandResult, pipe: str, context: CommandContext) -> CommandResult:
    """Return what a query makes of a command's result: `.show tables | count`."""
    catalog = _ResultCatalog(context.database, result)
    try:
        results = run_query(f"{_RESULT_NAME} | {pipe}", {}, catalog, now_ticks=context.now())
    except KqlError as error:
        raise query_error(error.kind, error.code, error.message) from error
    return CommandResult(results[0].columns, results[0].rows)


def table_named(database: Database, name: str) -> Table:
    """Return a table of the database.

    Raises:
        ServiceError: there is none of that name.
    """
    found = database.tables.get(name)
    if found is None:
        raise entity_not_found("Table", name)
    return found


def view_named(database: Database, name: str) -> View:
    """Return a materialized view of the database.

    Raises:
        ServiceError: there is none of that name.
    """
    found = database.views.get(name)
    if found is None:
        raise entity_not_found("MaterializedView", name)
    return found


def table_reference(cursor: Cursor, context: CommandContext) -> str:
    """Take a table's name, which may be qualified by the current database.

    Raises:
        ServiceError: it is qualified by another database.
    """
    name = cursor.name()
    if not cursor.accept("."):
        return name
    check_current(name, context)
    return cursor.name()


def check_current(name: str, context: CommandContext) -> None:
    """Expect a database name to mean the database of the request.

    Raises:
        ServiceError: it means another, or none.
    """
    if name.casefold() != context.database.casefold():
        context.catalog.database(name)
        raise bad_request(
            f"The local server runs this command only in its own database: send it with "
            f"db={name}, not db={context.database}."
        )


def optional_database(cursor: Cursor, context: CommandContext, *next_words: str) -> None:
    """Take the name of the current database, unless one of the next words stands there."""
    named = cursor.peek().kind == "word" or cursor.at("[")
    if named and not cursor.at(*next_words):
        check_current(cursor.name(), context)


_OPERATION_ID = columns("OperationId:guid")
_RESULT_NAME = "CommandResult_"


class _ResultCatalog:
    """A catalog that holds the result of a command and nothing else."""

    def __init__(self, database: str, result: CommandResult) -> None:
        self.database = database
        self._result = result

    def table(self, name: str) -> _ResultSource | None:
        return _ResultSource(self._result) if name == _RESULT_NAME else None

    def function(self, name: str) -> None:
        return None

    def view(self, name: str) -> None:
        return None


class _ResultSource:
    """The rows of a result as a table of the engine."""

    name = _RESULT_NAME

    def __init__(self, result: CommandResult) -> None:
        self.columns = result.columns
        self._rows = result.rows

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[Row]:
        places = {column.name: index for index, column in enumerate(self.columns)}
        wanted = [(places[name], values) for name, values in equals.items()]
        for row in self._rows:
            if all((row[at] or "") in values for at, values in wanted):
                yield (*row, None) if with_ingestion_time else row

"""Reading Kusto's answers: v2 frames of queries, v1 tables of management commands. No I/O.

HTTP 200 is not success: an error may stand among the rows, in the completion table or in the last
frame, and then the whole result is wrong, not merely short (K/concepts/partial-query-failures).
"""

from __future__ import annotations

from typing import Any

from ..errors import KustoCheckpointError, MalformedResponseError
from ._protocol import Table
from .failures import Request, ServerError, malformed, translate_server_error

_NOTHING = type(None)
# How a cell of a type is written in JSON; a string is never null (string data type), and what is
# not listed may be anything.
_JSON_TYPES: dict[str, frozenset[type]] = {
    "string": frozenset((str,)),
    "int": frozenset((int, _NOTHING)),
    "long": frozenset((int, _NOTHING)),
    "bool": frozenset((bool, int, _NOTHING)),
    "datetime": frozenset((str, _NOTHING)),
    "timespan": frozenset((str, _NOTHING)),
    "guid": frozenset((str, _NOTHING)),
}
_LONGEST_CAUSE = 200
_ERROR_LEVEL = 2  # Level of QueryCompletionInformation: 1 critical, 2 error


def read_query(frames: Any, request: Request) -> list[Table]:
    """Give the primary result tables of a v2 answer.

    Raises:
        ServiceError: An error stands in one of the three places, or the answer is cut.
    """
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise malformed(request, "is not a list of frames")
    if not frames or frames[-1].get("FrameType") != "DataSetCompletion":
        raise malformed(request, "is cut before its last frame")
    tables: list[Table] = []
    for frame in frames:
        frame_type = frame.get("FrameType")
        if frame_type == "DataTable":
            table = _read_table(frame, request)
            if frame.get("TableKind") == "PrimaryResult":
                _check_types(frame["Columns"], table, request)
                tables.append(table)
            elif frame.get("TableKind") == "QueryCompletionInformation":
                _check_completion(table, request)
        elif frame_type == "DataSetCompletion":
            if frame.get("HasErrors") or frame.get("Cancelled"):
                _raise_one_api(frame.get("OneApiErrors"), request)
        elif frame_type != "DataSetHeader":
            raise malformed(request, f"has a frame {frame_type!r}")
    return tables


def read_command(body: Any, request: Request) -> Table:
    """Give the first table of a v1 answer.

    Raises:
        ServiceError: The answer holds exceptions, or no table.
    """
    if not isinstance(body, dict):
        raise malformed(request, "is not an object")
    if body.get("Exceptions"):
        _raise_one_api(body["Exceptions"], request)
    tables = body.get("Tables")
    if not isinstance(tables, list) or not tables or not isinstance(tables[0], dict):
        raise malformed(request, "has no table")
    return _read_table(tables[0], request)


def check_acknowledgement(body: Any) -> None:
    """Refuse what does not say that rows were taken: any proxy can answer 200 with nothing.

    Raises:
        ValueError: It is not the v1 answer of an ingest.
    """
    if not isinstance(body, dict) or not isinstance(body.get("Tables"), list):
        raise ValueError("no table of what was ingested")
    if body.get("Exceptions"):
        raise ValueError(f"{body['Exceptions']!s:.{_LONGEST_CAUSE}}")


class understood:  # in small letters, as it is read in a `with`; no generator, which costs more
    """Let what cannot be read out of an answer be an error of the answer.

    Raises:
        MalformedResponseError: A table, a column or a row that was asked for is not there, or a
            value is not of the form Kusto writes.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, KustoCheckpointError):  # some of them are ValueErrors
            return
        if isinstance(error, LookupError | AttributeError | TypeError | ValueError):
            cause = f"{type(error).__name__}: {error!s:.{_LONGEST_CAUSE}}"
            raise MalformedResponseError(
                f"the answer does not hold what was asked for ({cause}); check that the URI is the"
                " query URI of the cluster, and what proxies are on the way"
            ) from error


def _read_table(frame: dict[str, Any], request: Request) -> Table:
    columns, rows = frame.get("Columns"), frame.get("Rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise malformed(request, "has a table without rows")
    for row in rows:
        if isinstance(row, dict):  # an error among the rows
            _raise_one_api(row.get("OneApiErrors") or row.get("Exceptions"), request)
    if not all(isinstance(column, dict) for column in columns):
        raise malformed(request, "has a column without a name")
    names = tuple(str(column.get("ColumnName")) for column in columns)
    if any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        raise malformed(request, "has a row of another width")
    return Table(names, rows)


def _check_types(columns: list[dict[str, Any]], table: Table, request: Request) -> None:
    """Refuse cells that JSON writes otherwise than their column's type, column by column."""
    for index, column in enumerate(columns):
        allowed = _JSON_TYPES.get(str(column.get("ColumnType")))
        if allowed is None:
            continue
        for kind in {type(row[index]) for row in table.rows} - allowed:
            name = table.columns[index]
            raise malformed(request, f"has a {kind.__name__} in column {name!r:.{_LONGEST_CAUSE}}")


def _check_completion(table: Table, request: Request) -> None:
    for record in table.records():
        level = record.get("Level")
        if isinstance(level, int) and level <= _ERROR_LEVEL:
            text = str(record.get("Payload") or record.get("EventTypeName") or "")
            code = str(record.get("StatusCodeName") or "")
            # Nothing says whether trying again helps; a query may, and a wrong one is a 400.
            permanent = False if request.kind == "query" else None
            raise translate_server_error(ServerError(code, text, permanent, 200), request)


def _raise_one_api(errors: Any, request: Request) -> None:
    listed = errors if isinstance(errors, list) else [errors] if errors else []
    for item in listed:
        body = item.get("error") if isinstance(item, dict) else None
        if isinstance(body, dict):
            raise translate_server_error(ServerError.from_one_api(body, 200), request)
    text = "; ".join(str(item) for item in listed) or "the answer says it has errors"
    raise translate_server_error(ServerError("", text, None, 200), request)

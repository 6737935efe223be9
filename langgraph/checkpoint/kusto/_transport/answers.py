"""Reading Kusto's answers: v2 frames of queries, v1 tables of management commands. No I/O.

HTTP 200 is not success: an error may stand among the rows, in the completion table or in the last
frame, and then the whole result is wrong, not merely short (K/concepts/partial-query-failures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._protocol import Table
from .failures import Request, ServerError, malformed, translate_server_error

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
            table = _read_table(frame, "ColumnName", request)
            if frame.get("TableKind") == "PrimaryResult":
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
        text = "; ".join(str(item) for item in body["Exceptions"])
        raise translate_server_error(ServerError("", text, None, 200), request)
    tables = body.get("Tables")
    if not isinstance(tables, list) or not tables or not isinstance(tables[0], dict):
        raise malformed(request, "has no table")
    return _read_table(tables[0], "ColumnName", request)


def _read_table(frame: dict[str, Any], name_key: str, request: Request) -> Table:
    columns, rows = frame.get("Columns"), frame.get("Rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise malformed(request, "has a table without rows")
    for row in rows:
        if isinstance(row, dict):  # an error among the rows
            _raise_one_api(row.get("OneApiErrors") or row.get("Exceptions"), request)
    names = tuple(str(column.get(name_key)) for column in columns)
    if any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        raise malformed(request, "has a row of another width")
    return Table(names, rows)


def _check_completion(table: Table, request: Request) -> None:
    for record in table.records():
        level = record.get("Level")
        if isinstance(level, int) and level <= _ERROR_LEVEL:
            text = str(record.get("Payload") or record.get("EventTypeName") or "")
            code = str(record.get("StatusCodeName") or "")
            raise translate_server_error(ServerError(code, text, None, 200), request)


def _raise_one_api(errors: Sequence[Any] | None, request: Request) -> None:
    for item in errors or ():
        body = item.get("error") if isinstance(item, dict) else None
        if isinstance(body, dict):
            raise translate_server_error(ServerError.from_one_api(body, 200), request)
    text = "; ".join(str(item) for item in errors or ()) or "the answer says it has errors"
    raise translate_server_error(ServerError("", text, None, 200), request)

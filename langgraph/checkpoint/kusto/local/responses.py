"""The bodies Kusto answers with.

Lives here: the JSON of v1 tables, v2 frames and OneApi errors. Does not live here: HTTP (`app`),
and what the tables hold.

Sources: `data-explorer/kusto/api/rest/response.md`, `response-v2.md`, and the fixtures of the
Python SDK for the columns of the tables around the primary results.
"""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from .clock import now_ticks
from .errors import ServiceError
from .kql import Column, ResultTable
from .kql.values import format_datetime, format_real, format_timespan
from .request import RequestIds

Row = tuple[Any, ...]
Converter = Callable[[Any], Any]
CHUNK_ROWS = 500
# v1 names the approximate .NET type of a column beside Kusto's own (response.md).
DATA_TYPES = {
    "bool": "SByte",
    "int": "Int32",
    "long": "Int64",
    "real": "Double",
    "decimal": "SqlDecimal",
    "string": "String",
    "datetime": "DateTime",
    "timespan": "TimeSpan",
    "guid": "Guid",
    "dynamic": "Object",
}
# 80DA0003, "result set too large", as in the SDK's fixture.
_TOO_LARGE = (-2133196797, "E_QUERY_RESULT_SET_TOO_LARGE")
_NO_VISUALIZATION = orjson.dumps({"Visualization": None, "Title": None}).decode()


@dataclass(frozen=True)
class Rows:
    """Encoded rows of one table, and the error that cut them short."""

    text: bytes
    count: int
    error: ServiceError | None = None


def error_body(error: ServiceError, ids: RequestIds) -> dict[str, Any]:
    """Return the OneApi error object for a failure."""
    context = _context(ids)
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "@type": error.type,
        "@message": error.detail,
        "@context": context,
        "@permanent": error.permanent,
    }
    if error.failure_code is not None:
        body["@failureCode"] = error.failure_code
    if error.inner is not None:
        body["innererror"] = {
            "code": error.inner.code,
            "message": error.inner.message,
            "@type": error.inner.type,
            "@message": error.inner.detail,
            "@context": context,
            "@permanent": error.permanent,
            "@errorCode": error.inner.code,
            "@errorMessage": error.inner.message,
        }
    return {"error": body}


def encode_rows(
    table: ResultTable, max_records: int | None, max_bytes: int | None, too_large: ServiceError
) -> Rows:
    """Return a table's rows as JSON, cut where a limit is passed."""
    convert = _row_converter(table.columns)
    pieces: list[bytes] = []
    size = count = 0
    for start in range(0, len(table.rows), CHUNK_ROWS):
        chunk = table.rows[start : start + CHUNK_ROWS]
        if max_records is not None and start + len(chunk) > max_records:
            chunk = chunk[: max_records - start]
        piece = _dump([convert(row) for row in chunk])[1:-1]
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            return Rows(b",".join(pieces), count, too_large)
        if piece:
            pieces.append(piece)
        count += len(chunk)
        if max_records is not None and count >= max_records and count < len(table.rows):
            return Rows(b",".join(pieces), count, too_large)
    return Rows(b",".join(pieces), count)


def v2(
    tables: Sequence[tuple[ResultTable, Rows]],
    ids: RequestIds,
    *,
    placement: str = "in_data",
    deferred: bool = False,
    error: ServiceError | None = None,
    only: str | None = None,
) -> bytes:
    """Return the frames of a query's answer.

    Args:
        tables: the primary results with their encoded rows.
        ids: identifiers of the request.
        placement: where an error goes: among the rows, or only into the completion frame.
        deferred: report an error as a status row alone, as `deferpartialqueryfailures` asks.
        error: a failure after the start that cut the last table short.
        only: the one place of that error, whatever was asked: `rows`, `status` or `completion`.
    """
    one_api = [error_body(error, ids)] if error is not None else []
    places = {only} if only is not None else _places(placement, deferred)
    in_rows = bool(one_api) and "rows" in places
    frames = [
        _dump({"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"}),
        _frame(0, "QueryProperties", "@ExtendedProperties", _PROPERTIES, _property_rows(tables)),
    ]
    for index, (table, rows) in enumerate(tables):
        text = rows.text
        if in_rows and index == len(tables) - 1:
            text += (b"," if text else b"") + _dump({"OneApiErrors": one_api})
        frames.append(_frame(index + 1, "PrimaryResult", table.name, table.columns, text))
    records = sum(rows.count for _, rows in tables)
    status = _status_rows(ids, records, error if "status" in places else None)
    frames.append(
        _frame(
            len(tables) + 1,
            "QueryCompletionInformation",
            "QueryCompletionInformation",
            _COMPLETION,
            _dump(status)[1:-1],
        )
    )
    failed = bool(one_api) and "completion" in places
    completion: dict[str, Any] = {
        "FrameType": "DataSetCompletion",
        "HasErrors": failed,
        "Cancelled": False,
    }
    if failed:
        completion["OneApiErrors"] = one_api
    frames.append(_dump(completion))
    return b"[" + b",\n".join(frames) + b"]"


def v1(tables: Sequence[ResultTable]) -> bytes:
    """Return the answer of a management command or an ingest."""
    return (
        b'{"Tables":['
        + b",".join(_v1_table(f"Table_{index}", table) for index, table in enumerate(tables))
        + b"]}"
    )


def v1_failed(answer: bytes, error: ServiceError, *, at_top: bool) -> bytes:
    """Return a v1 answer with an error inside: beside the tables, or among the rows of the first.

    The Go SDK (`query/v1/decode.go`) and the Java SDK (`KustoResultSetTable.java`) read both.
    """
    body = orjson.loads(answer)
    failure = {"Exceptions": [error.detail]}
    if at_top:
        body.update(failure)
    else:
        body["Tables"][0]["Rows"].append(failure)
    return orjson.dumps(body)


def _places(placement: str, deferred: bool) -> set[str]:
    """Return where Kusto reports an error, as the request asked."""
    if deferred:
        return {"status"}
    return {"completion"} if placement == "end_of_dataset" else {"rows", "completion"}


def v1_query(tables: Sequence[tuple[ResultTable, Rows]], ids: RequestIds) -> bytes:
    """Return a query's answer in v1: results, properties, status, table of contents."""
    names = [f"Table_{index}" for index in range(len(tables) + 3)]
    parts = [
        _v1_encoded(name, table.columns, rows.text)
        for name, (table, rows) in zip(names, tables, strict=False)
    ]
    properties = ResultTable("", (Column("Value", "string"),), [(_NO_VISUALIZATION,)])
    parts.append(_v1_table(names[-3], properties))
    parts.append(_v1_table(names[-2], ResultTable("", _STATUS_V1, [_status_v1(ids)])))
    contents: list[Row] = [
        (index, "QueryResult", table.name, ids.activity_id, "")
        for index, (table, _) in enumerate(tables)
    ]
    at = len(tables)
    contents.append((at, "QueryProperties", "@ExtendedProperties", ids.activity_id, ""))
    contents.append((at + 1, "QueryStatus", "QueryStatus", ids.activity_id, ""))
    parts.append(_v1_table(names[-1], ResultTable("", _CONTENTS, contents)))
    return b'{"Tables":[' + b",".join(parts) + b"]}"


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*part.split(":")) for part in text.split())


_PROPERTIES = _columns("TableId:int Key:string Value:dynamic")
_COMPLETION = _columns(
    "Timestamp:datetime ClientRequestId:string ActivityId:guid SubActivityId:guid "
    "ParentActivityId:guid Level:int LevelName:string StatusCode:int StatusCodeName:string "
    "EventType:int EventTypeName:string Payload:string"
)
_STATUS_V1 = _columns(
    "Timestamp:datetime Severity:int SeverityName:string StatusCode:int StatusDescription:string "
    "Count:int RequestId:guid ActivityId:guid SubActivityId:guid ClientActivityId:string"
)
_CONTENTS = _columns("Ordinal:long Kind:string Name:string Id:string PrettyName:string")


def _frame(table_id: int, kind: str, name: str, columns: Iterable[Column], rows: bytes) -> bytes:
    head = _dump(
        {
            "FrameType": "DataTable",
            "TableId": table_id,
            "TableKind": kind,
            "TableName": name,
            "Columns": [{"ColumnName": c.name, "ColumnType": c.type} for c in columns],
        }
    )
    return head[:-1] + b',"Rows":[' + rows + b"]}"


def _property_rows(tables: Sequence[tuple[ResultTable, Rows]]) -> bytes:
    return _dump([[i + 1, "Visualization", _NO_VISUALIZATION] for i in range(len(tables))])[1:-1]


def _status_rows(ids: RequestIds, records: int, error: ServiceError | None) -> list[list[Any]]:
    stamp = format_datetime(now_ticks())
    activity = ids.activity_id
    start = [stamp, ids.client_request_id, activity, activity, activity]
    if error is not None:
        payload = _dump({"Count": 1, "Text": error.detail}).decode()
        number, name = _TOO_LARGE if error.code == "LimitsExceeded" else (error.status, error.code)
        return [[*start, 2, "Error", number, name, 4, "QueryInfo", payload]]
    done = _dump({"Count": 1, "Text": "Query completed successfully"}).decode()
    used = _dump({"dataset_statistics": [{"table_row_count": records}]}).decode()
    return [
        [*start, 4, "Info", 0, "S_OK (0)", 4, "QueryInfo", done],
        [*start, 6, "Stats", 0, "S_OK (0)", 0, "QueryResourceConsumption", used],
    ]


def _status_v1(ids: RequestIds) -> Row:
    activity = ids.activity_id
    text = "Query completed successfully"
    identity = (activity, activity, activity, ids.client_request_id)
    return (now_ticks(), 4, "Info", 0, text, 1, *identity)


def _v1_table(name: str, table: ResultTable) -> bytes:
    convert = _row_converter(table.columns)
    return _v1_encoded(name, table.columns, _dump([convert(row) for row in table.rows])[1:-1])


def _v1_encoded(name: str, columns: Iterable[Column], rows: bytes) -> bytes:
    described = [
        {"ColumnName": c.name, "DataType": DATA_TYPES[c.type], "ColumnType": c.type}
        for c in columns
    ]
    return _dump({"TableName": name, "Columns": described})[:-1] + b',"Rows":[' + rows + b"]}"


def _row_converter(columns: Sequence[Column]) -> Callable[[Row], Any]:
    """Return the function from a row of engine values to what JSON can hold."""
    special = [(i, _CONVERTERS[c.type]) for i, c in enumerate(columns) if c.type in _CONVERTERS]
    if not special:
        return lambda row: row

    def convert(row: Row) -> list[Any]:
        cells = list(row)
        for index, change in special:
            if cells[index] is not None:
                cells[index] = change(cells[index])
        return cells

    return convert


def _real(value: float) -> Any:
    # JSON has no word for these; the SDK reads them as text (azure-kusto-data, helpers.py).
    return value if math.isfinite(value) else format_real(value)


_CONVERTERS: dict[str, Converter] = {
    "datetime": format_datetime,
    "timespan": format_timespan,
    "decimal": str,
    "real": _real,
}


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # Integers beyond 64 bits and lone surrogates, which a query may compute.
        return json.dumps(value, separators=(",", ":")).encode()


def _context(ids: RequestIds) -> dict[str, Any]:
    activity = ids.activity_id
    return {
        "timestamp": format_datetime(now_ticks()),
        "serviceAlias": "LOCAL",
        "machineName": socket.gethostname(),
        "processName": "langgraph.checkpoint.kusto.local",
        "processId": os.getpid(),
        "threadId": 1,
        "clientRequestId": ids.client_request_id,
        "activityId": activity,
        "subActivityId": activity,
        "activityType": "DN.FE.ExecuteRequest",
        "parentActivityId": activity,
        "activityStack": f"(Activity stack: CRID={ids.client_request_id} ARID={activity})",
    }

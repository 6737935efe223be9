"""Responses: rows and errors as frames of both protocols, read by Microsoft's SDK."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from azure.kusto.data.exceptions import KustoMultiApiError
from azure.kusto.data.response import KustoResponseDataSetV1, KustoResponseDataSetV2

from langgraph.checkpoint.kusto.local import errors, responses
from langgraph.checkpoint.kusto.local.kql import Column, ResultTable
from langgraph.checkpoint.kusto.local.request import RequestIds
from langgraph.checkpoint.kusto.local.responses import Rows, encode_rows

IDS = RequestIds("client", "11111111-2222-3333-4444-555555555555")
ERROR = errors.limits_exceeded("too much")
ALL_TYPES = ResultTable(
    "PrimaryResult",
    (
        Column("b", "bool"),
        Column("i", "int"),
        Column("r", "real"),
        Column("m", "decimal"),
        Column("s", "string"),
        Column("t", "datetime"),
        Column("p", "timespan"),
        Column("g", "guid"),
        Column("d", "dynamic"),
    ),
    [
        (
            True,
            7,
            math.nan,
            Decimal("1.10"),
            "x\x00",
            639_029_198_451_234_567,
            -15_000_000,
            "11111111-2222-3333-4444-555555555555",
            {"a": [1, None]},
        ),
        (None, None, -math.inf, None, "", None, None, None, None),
    ],
)


def encoded(table: ResultTable) -> Rows:
    return encode_rows(table, None, None, ERROR)


def test_rows_are_written_as_kusto_writes_them() -> None:
    rows = json.loads(b"[" + encoded(ALL_TYPES).text + b"]")
    assert rows == [
        [
            True,
            7,
            "NaN",
            "1.10",
            "x\x00",
            "2026-01-02T03:04:05.1234567Z",
            "-00:00:01.5000000",
            "11111111-2222-3333-4444-555555555555",
            {"a": [1, None]},
        ],
        [None, None, "-Infinity", None, "", None, None, None, None],
    ]


def test_the_sdk_reads_v2() -> None:
    second = ResultTable("Named", (Column("n", "long"),), [])
    body = responses.v2([(ALL_TYPES, encoded(ALL_TYPES)), (second, encoded(second))], IDS)
    read = KustoResponseDataSetV2(json.loads(body))
    assert [table.table_name for table in read.primary_results] == ["PrimaryResult", "Named"]
    assert read.errors_count == 0
    row = read.primary_results[0][0]
    assert row["t"] == dt.datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=dt.timezone.utc)
    assert row["p"] == dt.timedelta(seconds=-1.5)
    assert row["m"] == Decimal("1.10")


def test_the_frames_of_v2() -> None:
    frames = json.loads(responses.v2([(ALL_TYPES, encoded(ALL_TYPES))], IDS))
    assert frames[0] == {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"}
    assert [frame.get("TableKind") for frame in frames[1:-1]] == [
        "QueryProperties",
        "PrimaryResult",
        "QueryCompletionInformation",
    ]
    assert frames[-1] == {
        "FrameType": "DataSetCompletion",
        "HasErrors": False,
        "Cancelled": False,
    }


def with_error(**arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        responses.v2([(ALL_TYPES, encoded(ALL_TYPES))], IDS, error=ERROR, **arguments)
    )
    return found


def test_an_error_stands_among_the_rows() -> None:
    frames = with_error()
    assert frames[2]["Rows"][2]["OneApiErrors"][0]["error"]["code"] == "LimitsExceeded"
    assert frames[-1]["HasErrors"] is True
    assert frames[-1]["OneApiErrors"][0]["error"]["@permanent"] is False
    with pytest.raises(KustoMultiApiError, match="too much"):
        KustoResponseDataSetV2(frames)


def test_an_error_may_stand_only_at_the_end() -> None:
    frames = with_error(placement="end_of_dataset")
    assert len(frames[2]["Rows"]) == 2
    assert frames[-1]["HasErrors"] is True
    assert KustoResponseDataSetV2(frames).errors_count == 0  # what the SDK overlooks


def test_a_deferred_error_is_a_status_row() -> None:
    frames = with_error(deferred=True)
    assert len(frames[2]["Rows"]) == 2
    assert frames[-1]["HasErrors"] is False
    read = KustoResponseDataSetV2(frames)
    assert read.errors_count == 1
    assert "too much" in read.get_exceptions()[0]


def test_rows_are_cut_at_a_limit_of_records() -> None:
    table = ResultTable("T", (Column("n", "long"),), [(n,) for n in range(1200)])
    cut = encode_rows(table, 700, None, ERROR)
    assert (cut.count, cut.error) == (700, ERROR)
    assert json.loads(b"[" + cut.text + b"]")[-1] == [699]
    whole = encode_rows(table, 1200, None, ERROR)
    assert (whole.count, whole.error) == (1200, None)


def test_rows_are_cut_at_a_limit_of_bytes() -> None:
    table = ResultTable("T", (Column("s", "string"),), [("x" * 100,)] * 2000)
    cut = encode_rows(table, None, 60_000, ERROR)
    assert (cut.count, cut.error) == (500, ERROR)
    assert len(cut.text) <= 60_000
    assert encode_rows(table, None, 10**6, ERROR).error is None


def test_the_sdk_reads_v1() -> None:
    read = KustoResponseDataSetV1(json.loads(responses.v1([ALL_TYPES])))
    assert read.primary_results[0][0]["s"] == "x\x00"
    columns = json.loads(responses.v1([ALL_TYPES]))["Tables"][0]["Columns"]
    assert columns[0] == {"ColumnName": "b", "DataType": "SByte", "ColumnType": "bool"}
    assert columns[8] == {"ColumnName": "d", "DataType": "Object", "ColumnType": "dynamic"}


def test_the_sdk_reads_a_query_in_v1() -> None:
    rows = encoded(ALL_TYPES)
    body = responses.v1_query([(ALL_TYPES, rows), (ALL_TYPES, rows)], IDS)
    read = KustoResponseDataSetV1(json.loads(body))
    assert len(read.primary_results) == 2
    assert read.errors_count == 0
    assert len(read.primary_results[1].rows) == 2


def test_a_lone_surrogate_does_not_break_the_answer() -> None:
    table = ResultTable("T", (Column("s", "string"),), [("\ud800",)])
    assert json.loads(b"[" + encoded(table).text + b"]") == [["\ud800"]]


def test_the_error_body_is_one_api() -> None:
    error = errors.query_error("semantic", "SEM0100", "Semantic error: SEM0100: no such thing")
    body = responses.error_body(error, IDS)["error"]
    assert body["code"] == "General_BadRequest"
    assert body["message"] == "Request is invalid and cannot be executed."
    assert body["@type"] == "Kusto.Data.Exceptions.KustoBadRequestException"
    assert body["@message"] == (
        "Request is invalid and cannot be processed: Semantic error: SEM0100: no such thing"
    )
    assert body["@permanent"] is True
    assert body["@context"]["clientRequestId"] == "client"
    assert body["innererror"]["code"] == "SEM0100"
    assert body["innererror"]["@errorMessage"] == "no such thing"

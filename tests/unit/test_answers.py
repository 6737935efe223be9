"""Reading answers: HTTP 200 is not success."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto._transport.answers import (
    check_acknowledgement,
    read_command,
    read_query,
    understood,
)
from langgraph.checkpoint.kusto._transport.failures import Request
from langgraph.checkpoint.kusto.errors import (
    InvalidConfigError,
    KustoCheckpointError,
    MalformedResponseError,
    QueryFailedError,
    ResultTooLargeError,
    ServiceUnavailableError,
)

QUERY = Request("query", "https://mycluster", "db")
COMMAND = Request("command", "https://mycluster", "db")

ERROR = {
    "error": {
        "code": "LimitsExceeded",
        "message": "Request is invalid and cannot be executed.",
        "@type": "Kusto.Data.Exceptions.KustoServicePartialQueryFailureLimitsExceededException",
        "@message": "Query execution has exceeded the allowed limits (80DA0003): ...",
        "@permanent": False,
    }
}
TRANSIENT = {"error": {"code": "Busy", "@message": "node left", "@permanent": False}}


def table(rows: list[Any], kind: str = "PrimaryResult", names: str = "a b") -> dict[str, Any]:
    return {
        "FrameType": "DataTable",
        "TableId": 1,
        "TableKind": kind,
        "TableName": kind,
        "Columns": [{"ColumnName": name, "ColumnType": "dynamic"} for name in names.split()],
        "Rows": rows,
    }


def completion(**fields: Any) -> dict[str, Any]:
    frame = {"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False}
    return {**frame, **fields}


HEADER = {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"}
PROPERTIES = table([[1, "{}"]], "QueryProperties", "TableId Value")


def status(level: int | None, payload: str | None = "fine", code: str = "S_OK") -> dict[str, Any]:
    return table(
        [[level, code, "QueryInfo", payload]],
        "QueryCompletionInformation",
        "Level StatusCodeName EventTypeName Payload",
    )


def answer(*frames: dict[str, Any], end: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [HEADER, PROPERTIES, *frames, status(4), end or completion()]


# ------------------------------------------------------------------------------------------ queries


def test_tables_in_the_order_of_the_statements() -> None:
    tables = read_query(
        answer(table([["1", 2]]), table([], names="x"), table([["3", None]])), QUERY
    )

    assert tables == [
        Table(("a", "b"), [["1", 2]]),
        Table(("x",), []),
        Table(("a", "b"), [["3", None]]),
    ]
    assert tables[0].records() == [{"a": "1", "b": 2}]
    assert tables[1].records() == []


def test_an_answer_without_results() -> None:
    assert read_query(answer(), QUERY) == []
    assert read_query([completion()], QUERY) == []


def test_an_error_among_the_rows() -> None:
    broken = table([["1", 2], {"OneApiErrors": [ERROR]}])
    with pytest.raises(ResultTooLargeError, match="exceeded the allowed limits"):
        read_query(answer(broken), QUERY)


def test_an_error_among_the_rows_of_any_table() -> None:
    for kind in ("QueryProperties", "QueryCompletionInformation", "Unknown"):
        with pytest.raises(ServiceUnavailableError, match="node left"):
            read_query(answer(table([{"OneApiErrors": [TRANSIENT]}], kind)), QUERY)


def test_an_error_in_the_last_frame() -> None:
    end = completion(HasErrors=True, OneApiErrors=[TRANSIENT, ERROR])
    with pytest.raises(ServiceUnavailableError, match="node left"):
        read_query(answer(table([["1", 2]]), end=end), QUERY)


@pytest.mark.parametrize("fields", [{"HasErrors": True}, {"Cancelled": True}])
@pytest.mark.parametrize("listed", [None, [], ["text"], [{}], [{"error": "text"}]])
def test_errors_without_a_body(fields: dict[str, Any], listed: Any) -> None:
    end = completion(**fields, OneApiErrors=listed)
    with pytest.raises(QueryFailedError):
        read_query(answer(table([["1", 2]]), end=end), QUERY)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_an_error_in_the_completion_information(level: int) -> None:
    """With deferred partial failures the last frame still says that there are none.

    Nor does anything say whether it is transient: a query may be tried again.
    """
    frames = [HEADER, table([["1", 2]]), status(level, "it failed", "E_FAIL"), completion()]
    with pytest.raises(ServiceUnavailableError, match="E_FAIL: it failed") as caught:
        read_query(frames, QUERY)
    assert caught.value.retriable


def test_a_result_too_large_by_its_code_alone() -> None:
    frames = [table([]), status(2, None, "E_QUERY_RESULT_SET_TOO_LARGE"), completion()]
    with pytest.raises(ResultTooLargeError, match="QueryInfo"):
        read_query(frames, QUERY)


@pytest.mark.parametrize("level", [3, 4, 5, None])
def test_warnings_are_not_errors(level: int | None) -> None:
    frames = [HEADER, table([["1", 2]]), status(level, "slow"), completion()]

    assert len(read_query(frames, QUERY)) == 1


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (None, "not a list of frames"),
        ({}, "not a list of frames"),
        ("", "not a list of frames"),
        ([HEADER, "x", completion()], "not a list of frames"),
        ([], "cut before its last frame"),
        ([HEADER], "cut before its last frame"),
        ([HEADER, table([["1", 2]])], "cut before its last frame"),
        ([HEADER, {"FrameType": "TableFragment"}, completion()], "has a frame 'TableFragment'"),
        ([{}, completion()], "has a frame None"),
        ([{**table([]), "Rows": None}, completion()], "a table without rows"),
        ([{**table([]), "Columns": None}, completion()], "a table without rows"),
        ([table([["1"]]), completion()], "a row of another width"),
        ([table([["1", 2, 3]]), completion()], "a row of another width"),
        ([table(["12"]), completion()], "a row of another width"),
        ([table([None]), completion()], "a row of another width"),
    ],
)
def test_what_is_not_an_answer(frames: Any, message: str) -> None:
    with pytest.raises(MalformedResponseError, match=message):
        read_query(frames, QUERY)


@given(st.integers(0, 6), st.data())
def test_a_cut_answer_is_never_a_shorter_result(cut: int, data: st.DataObject) -> None:
    whole = answer(table([["1", 2]]), table([["3", 4]]))
    frames = whole[:cut]
    if cut == len(whole):
        assert len(read_query(frames, QUERY)) == 2
    else:
        with pytest.raises(MalformedResponseError):
            read_query(frames, QUERY)


# ----------------------------------------------------------------------------------------- commands


def v1(rows: list[Any]) -> dict[str, Any]:
    columns = [{"ColumnName": "Name", "DataType": "String", "ColumnType": "string"}]
    return {"TableName": "Table_0", "Columns": columns, "Rows": rows}


def test_the_first_table_of_a_command() -> None:
    body = {"Tables": [v1([["x"], ["y"]]), v1([["z"]])]}

    assert read_command(body, COMMAND).records() == [{"Name": "x"}, {"Name": "y"}]


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ([], MalformedResponseError, "is not an object"),
        (None, MalformedResponseError, "is not an object"),
        ({}, MalformedResponseError, "has no table"),
        ({"Tables": []}, MalformedResponseError, "has no table"),
        ({"Tables": {}}, MalformedResponseError, "has no table"),
        ({"Tables": ["x"]}, MalformedResponseError, "has no table"),
        ({"Tables": [v1([["x", "y"]])]}, MalformedResponseError, "another width"),
        ({"Tables": [], "Exceptions": ["went wrong", "and more"]}, QueryFailedError, "wrong; and"),
        ({"Tables": [v1([])], "Exceptions": ["80DA0003"]}, ResultTooLargeError, "limit"),
        ({"Tables": [v1([{"Exceptions": ["in a row"]}])]}, QueryFailedError, "in a row"),
        ({"Tables": [v1([{"OneApiErrors": [TRANSIENT]}])]}, ServiceUnavailableError, "node left"),
        ({"Tables": [v1([{}])]}, QueryFailedError, "says it has errors"),
    ],
)
def test_commands_that_failed(body: Any, error: type[KustoCheckpointError], message: str) -> None:
    with pytest.raises(error, match=message):
        read_command(body, COMMAND)


# ----------------------------------------------------------------------------------- what is inside


def typed(kind: str, *cells: Any) -> dict[str, Any]:
    found = table([[cell] for cell in cells], names="a")
    return {**found, "Columns": [{"ColumnName": "a", "ColumnType": kind}]}


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("string", ["", "x"]),
        ("long", [1, None, 2**63 - 1]),
        ("int", [1, None]),
        ("bool", [True, False, 0, 1, None]),
        ("datetime", ["2026-01-02T03:04:05Z", None]),
        ("timespan", ["00:00:01", None]),
        ("guid", ["11111111-2222-3333-4444-555555555555", None]),
        ("real", [1, 1.5, "NaN", None]),
        ("decimal", ["1.10", None]),
        ("dynamic", [1, "x", [1], {"a": 1}, None, True]),
        ("of tomorrow", [1, "x"]),
    ],
)
def test_cells_as_json_writes_them(kind: str, cells: list[Any]) -> None:
    (found,) = read_query(answer(typed(kind, *cells)), QUERY)
    assert found.rows == [[cell] for cell in cells]


@pytest.mark.parametrize(
    ("kind", "cell", "name"),
    [
        ("string", None, "NoneType"),
        ("string", 5, "int"),
        ("string", ["x"], "list"),
        ("long", "5", "str"),
        ("long", 5.0, "float"),
        ("long", True, "bool"),
        ("int", {"a": 1}, "dict"),
        ("bool", "true", "str"),
        ("datetime", 5, "int"),
        ("timespan", 1.5, "float"),
        ("guid", [], "list"),
    ],
)
def test_cells_of_another_type(kind: str, cell: Any, name: str) -> None:
    with pytest.raises(MalformedResponseError, match=f"has a {name} in column 'a'"):
        read_query(answer(typed(kind, *([] if kind == "string" else [None]), cell)), QUERY)


def test_columns_without_a_name() -> None:
    with pytest.raises(MalformedResponseError, match="a column without a name"):
        read_query([{**table([]), "Columns": [None]}, completion()], QUERY)


def test_a_table_is_not_taken_for_another() -> None:
    empty = Table(("a", "b"), [])
    assert empty.records("a", "b") == []
    with pytest.raises(KeyError, match="c"):
        empty.records("a", "c")


@pytest.mark.parametrize(
    "body", [None, [], 5, "", {}, {"Tables": None}, {"Tables": [], "Exceptions": ["x"]}]
)
def test_what_is_no_acknowledgement(body: Any) -> None:
    with pytest.raises(ValueError, match=r"no table of what was ingested|x"):
        check_acknowledgement(body)


def test_an_acknowledgement() -> None:
    check_acknowledgement({"Tables": [v1([["x"]])]})


@pytest.mark.parametrize("kind", [KeyError, IndexError, AttributeError, TypeError, ValueError])
def test_what_cannot_be_read_out_of_an_answer(kind: type[Exception]) -> None:
    with pytest.raises(MalformedResponseError) as caught, understood():
        raise kind("x" * 1_000)
    assert f"({kind.__name__}: " in str(caught.value)
    assert len(str(caught.value)) < 500
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("error", [QueryFailedError("x"), InvalidConfigError("x"), OSError("x")])
def test_what_is_understood_already(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, understood():
        raise error
    assert caught.value is error

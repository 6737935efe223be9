"""Mappings: from a record to a row, with a mapping and without; wrong mappings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.mappings import (
    MappingError,
    json_plan,
    parse,
    path_steps,
    text_plan,
)
from langgraph.checkpoint.kusto.local.schema import IngestionMapping, Table

TABLE = Table(1, "T", (), 1).with_new_columns(
    [("a", "string"), ("b", "long"), ("d", "dynamic"), ("t", "datetime")]
)


def mapping(*entries: dict[str, Any], kind: str = "json") -> IngestionMapping:
    return IngestionMapping("M", kind, json.dumps(entries), 0)


def test_without_a_mapping_properties_go_by_name_and_case() -> None:
    to_row = json_plan(TABLE, None)
    assert to_row({"a": "x", "b": 1, "B": 2, "extra": 3}) == ("x", 1, None, None)
    assert to_row({"A": "x"}) == ("", None, None, None)


def test_paths_constants_and_unmapped_columns() -> None:
    to_row = json_plan(
        TABLE,
        mapping(
            {"column": "a", "Properties": {"Path": "$.x['y z'][1]"}},
            {"column": "b", "Properties": {"ConstValue": "7"}},
            {"column": "d", "properties": {"path": "$"}},
        ),
    )
    record = {"x": {"y z": ["no", "yes"]}}
    assert to_row(record) == ("yes", 7, '{"x":{"y z":["no","yes"]}}', None)
    assert to_row({"x": 5}) == ("", 7, '{"x":5}', None)


def test_a_path_without_a_dollar_is_a_constant() -> None:
    to_row = json_plan(TABLE, mapping({"column": "a", "Properties": {"Path": "fixed"}}))
    assert to_row({"fixed": "no"}) == ("fixed", None, None, None)


def test_unix_times() -> None:
    to_row = json_plan(
        TABLE,
        mapping(
            {
                "column": "t",
                "Properties": {"Path": "$.s", "Transform": "DateTimeFromUnixSeconds"},
            }
        ),
    )
    assert to_row({"s": 1})[3] == 621_355_968_010_000_000
    assert to_row({"s": "1"})[3] is None


def test_csv_goes_by_position_or_by_ordinal() -> None:
    assert text_plan(TABLE, None)(["x", "1", "[1]"]) == ("x", 1, "[1]", None)
    mapped = mapping({"column": "a", "Properties": {"Ordinal": "1"}}, kind="csv")
    assert text_plan(TABLE, mapped)(["x", "y"]) == ("y", None, None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "not empty"),
        ('[{"Properties":{"Path":"$.a"}}]', "Not a column mapping"),
        ('[{"column":"a","Properties":{"Path":"$.a","Foo":1}}]', "Unknown mapping properties: foo"),
        ('[{"column":"a","Properties":{"Path":"$a["}}]', "Not a JSON path"),
        ('[{"column":"a","Properties":5}]', "Not a column mapping"),
        ('[{"column":"a","Properties":{"Path":5}}]', "Not a JSON path: 5"),
        ('[{"column":"a","Properties":{"Path":"$.a","Transform":["x"]}}]', "not supported"),
        ('[{"column":"a","Properties":{}}]', "has no path"),
        (
            '[{"column":"a","Properties":{"Path":"$.a","Transform":"BytesAsBase64"}}]',
            "not supported by the local server",
        ),
        (
            '[{"column":"a","Properties":{"Path":"$.a"}},{"column":"a","Properties":{"Path":"$.b"}}]',
            "mapped twice",
        ),
    ],
)
def test_wrong_mappings_are_refused(text: str, problem: str) -> None:
    with pytest.raises(MappingError, match=problem):
        parse("json", text)


@pytest.mark.parametrize("ordinal", ["x", -1, 1.5, [1], ""])
def test_an_ordinal_is_a_whole_number_from_0(ordinal: Any) -> None:
    with pytest.raises(MappingError, match="Not an ordinal"):
        parse("csv", json.dumps([{"column": "a", "Properties": {"Ordinal": ordinal}}]))
    for right in (2, "2"):
        [entry] = parse("csv", json.dumps([{"column": "a", "Properties": {"Ordinal": right}}]))
        assert entry.ordinal == 2


def test_a_mapping_of_columns_the_table_lacks_fails_when_it_is_used() -> None:
    with pytest.raises(MappingError, match="columns the table does not have: z"):
        json_plan(TABLE, mapping({"column": "z", "Properties": {"Path": "$.z"}}))


def test_path_steps() -> None:
    assert path_steps("$.a.['b c'].d[2]") == ["a", "b c", "d", 2]
    assert path_steps("$") == []

"""Commands about policies, of every kind and in every form, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

POLICY = "PolicyName:string EntityName:string Policy:string ChildEntities:string EntityType:string"


def policy(bench: Any, command: str) -> Any:
    return json.loads(bench.run(command)[0]["Policy"])


def test_retention(table: Any) -> None:
    table.run(".alter-merge table T policy retention softdelete = 90d recoverability = disabled")
    shown = table.run(".show table T policy retention")
    assert shown == [
        {
            "PolicyName": "RetentionPolicy",
            "EntityName": "[Db].[T]",
            "Policy": '{"SoftDeletePeriod":"90.00:00:00","Recoverability":"Disabled"}',
            "ChildEntities": "[]",
            "EntityType": "Table",
        }
    ]
    assert table.columns(".show table T policy retention") == POLICY
    table.run(".alter-merge table T policy retention softdelete = 1d")
    assert policy(table, ".show table T policy retention")["Recoverability"] == "Disabled"
    table.run('.alter table T policy retention \'{"SoftDeletePeriod": "7.00:00:00"}\'')
    assert policy(table, ".show table T policy retention") == {
        "SoftDeletePeriod": "7.00:00:00",
        "Recoverability": "Enabled",
    }
    table.run(".delete table T policy retention")
    assert policy(table, ".show table T policy retention") is None
    table.run(".alter-merge table T policy retention softdelete = 365000d")
    assert policy(table, ".show table T policy retention")["SoftDeletePeriod"] == "365000.00:00:00"


def test_other_policies(table: Any) -> None:
    table.run(".alter table T policy caching hot = 30d")
    assert policy(table, ".show table T policy caching") == {
        "DataHotSpan": {"Value": "30.00:00:00"},
        "IndexHotSpan": {"Value": "30.00:00:00"},
    }
    table.run(".alter table T policy roworder (a asc, b desc)")
    assert policy(table, ".show table T policy roworder") == [
        {"ColumnName": "a", "Order": "Ascending"},
        {"ColumnName": "b", "Order": "Descending"},
    ]
    table.run(".alter table T policy streamingingestion enable")
    assert policy(table, ".show table T policy streamingingestion")["IsEnabled"] is True
    table.run(".alter database Db policy streamingingestion '{\"IsEnabled\": false}'")
    assert policy(table, ".show database policy streamingingestion")["IsEnabled"] is False
    table.run(".alter column T.a policy encoding type='bigobject'")
    assert policy(table, ".show column T.a policy encoding") == {"Profile": "BigObject"}
    table.run(
        '.alter table T policy partitioning ```{"PartitionKeys": [{"ColumnName": "a", '
        '"Kind": "Hash", "Properties": {"Function": "XxHash64", '
        '"MaxPartitionCount": 128}}]}```'
    )
    keys = policy(table, ".show table T policy partitioning")["PartitionKeys"]
    assert keys[0]["Properties"]["MaxPartitionCount"] == 128
    table.run(".alter table T policy ingestionbatching '{\"MaximumNumberOfItems\": 10}'")
    assert policy(table, ".show table T policy ingestionbatching")["MaximumNumberOfItems"] == 10


def test_the_other_forms_of_policies(table: Any) -> None:
    table.run(
        ".alter table T policy caching hotdata = 7d hotindex = 1h, "
        "hot_window = datetime(2026-01-01) .. datetime(2026-02-01)"
    )
    assert policy(table, ".show table T policy caching") == {
        "DataHotSpan": {"Value": "7.00:00:00"},
        "IndexHotSpan": {"Value": "01:00:00"},
        "HotWindows": [
            {"MinValue": "2026-01-01T00:00:00.0000000Z", "MaxValue": "2026-02-01T00:00:00.0000000Z"}
        ],
    }
    table.run(".alter column T.a policy caching hot = time(2.00:00:00)")
    shown = table.run(".show column T.a policy caching")[0]
    assert (shown["EntityName"], shown["EntityType"]) == ("[Db].[T].[a]", "Column")
    table.run(".delete column T.a policy caching")
    assert policy(table, ".show column T.a policy caching") is None
    table.run(".create table U (a:string)")
    rows = table.run(".alter tables (T, U) policy roworder (a asc)")
    assert [row["EntityName"] for row in rows] == ["[Db].[T]", "[Db].[U]"]
    table.run(".alter-merge table T policy roworder (b desc, a desc)")
    assert policy(table, ".show table T policy roworder") == [
        {"ColumnName": "b", "Order": "Descending"},
        {"ColumnName": "a", "Order": "Descending"},
    ]
    table.run(".alter-merge tables (T, U) policy retention softdelete = 2d")
    assert policy(table, ".show table U policy retention")["SoftDeletePeriod"] == "2.00:00:00"
    table.run('.alter-merge database policy retention \'{"Recoverability": "Disabled"}\'')
    assert policy(table, ".show database Db policy retention") == {
        "SoftDeletePeriod": "365000.00:00:00",
        "Recoverability": "Disabled",
    }
    table.run(".delete database Db policy retention")
    assert policy(table, ".show database policy retention") is None
    table.run(".alter-merge table T policy streamingingestion '{\"HintAllocatedRate\": 2.1}'")
    assert policy(table, ".show table T policy streamingingestion") == {
        "IsEnabled": False,
        "HintAllocatedRate": 2.1,
    }
    table.run(".alter table T policy partitioning 'null'")
    assert policy(table, ".show table T policy partitioning") is None


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".alter table T policy caching hot = soon", "Expected a timespan"),
        (".alter table T policy caching hot = 1d, hot_window = 5 .. 6", "Expected a datetime"),
        (".alter table T policy retention '[]'", "must be a JSON object"),
        (".alter table T policy streamingingestion '{\"IsEnabled\": 1}'", "must be true or false"),
        (
            '.alter table T policy streamingingestion \'{"HintAllocatedRate": "x"}\'',
            "must be a number or null",
        ),
        (
            '.alter table T policy ingestionbatching \'{"MaximumBatchingTimeSpan": "01:00:00"}\'',
            "should be less than or equal to 00:30:00",
        ),
        (
            ".alter table T policy ingestionbatching '{\"MaximumNumberOfItems\": 0}'",
            "should be greater than or equal to 1",
        ),
        (
            ".alter table T policy ingestionbatching '{\"MaximumRawDataSizeMB\": 5000}'",
            "should be less than or equal to 4096",
        ),
        (
            '.alter table T policy ingestionbatching \'{"MaximumNumberOfItems": "x"}\'',
            "must be a whole number",
        ),
        (".alter table T policy partitioning '{\"PartitionKeys\": []}'", "one or two partition"),
        (
            '.alter table T policy partitioning \'{"PartitionKeys": [{"Kind": "Round"}]}\'',
            "at most one Hash",
        ),
        (
            '.alter table T policy partitioning \'{"PartitionKeys": [{"Kind": "Hash"}]}\'',
            "has the properties ColumnName",
        ),
        (
            '.alter table T policy partitioning \'{"PartitionKeys": [{"ColumnName": "a", '
            '"Kind": "Hash", "Properties": {"Foo": 1}}]}\'',
            "has no property 'Foo'",
        ),
        (
            '.alter table T policy partitioning \'{"PartitionKeys": [{"ColumnName": "a", '
            '"Kind": "UniformRange"}]}\'',
            "must be a datetime column",
        ),
        (
            '.alter table T policy partitioning \'{"EffectiveDateTime": "soon"}\'',
            "must be a datetime",
        ),
        (".alter column a policy caching hot = 1d", "Expected a column as Table.Column"),
        (".show column T.z policy encoding", "'T.z' of kind 'Column' was not found"),
        (".alter database Other policy caching hot = 1d", "'Other' could not be found"),
        (".alter table T policy retention softdelete = 3d", "Expected a string literal"),
        (".alter-merge table T policy caching hot = 3d", "Expected one of: encoding"),
        (".alter-merge table T policy streamingingestion enable", "Expected a string literal"),
        (".alter table T policy color '{}'", "Expected one of: caching"),
        (".alter table T policy merge '{}'", "'merge' is not supported by the local server"),
        (".alter table T policy retention '{\"Foo\": 1}'", "has no property 'Foo'"),
        (".alter table T policy retention '{'", "not valid JSON"),
        (".alter table T policy retention '{\"SoftDeletePeriod\": 5}'", "must be a timespan"),
        ('.alter table T policy retention \'{"Recoverability": "maybe"}\'', "one of Enabled"),
        (".alter table T policy roworder (z asc)", "'T.z' of kind 'Column' was not found"),
        (".alter table T policy roworder (a)", "Expected 'asc' or 'desc'"),
        (".alter column T.a policy encoding type='Huge'", "'Huge' is unknown"),
        (".alter column T.b policy encoding type='BigObject'", "is for string and dynamic columns"),
        (".alter column T.z policy encoding type='Identifier'", "'T.z' of kind 'Column'"),
        (".alter table T policy encoding '{}'", "is not documented"),
        (
            '.alter table T policy ingestionbatching \'{"MaximumBatchingTimeSpan": "00:00:05"}\'',
            "should be greater than or equal to 00:00:10",
        ),
        (
            '.alter table T policy partitioning \'{"PartitionKeys": [{"ColumnName": "b", '
            '"Kind": "Hash"}]}\'',
            "must be a string or guid column",
        ),
        (".alter table U policy retention '{}'", "'U' of kind 'Table' was not found"),
    ],
)
def test_wrong_policies_are_refused(
    refuses: Callable[[str, str], None], command: str, problem: str
) -> None:
    refuses(command, problem)

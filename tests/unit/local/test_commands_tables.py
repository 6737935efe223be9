"""Tables, columns, mappings, policies, scripts, roles of principals: commands and their answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError

SCHEMA = "TableName:string Schema:string DatabaseName:string Folder:string DocString:string"
POLICY = "PolicyName:string EntityName:string Policy:string ChildEntities:string EntityType:string"


def policy(bench: Any, command: str) -> Any:
    return json.loads(bench.run(command)[0]["Policy"])


@pytest.fixture
def table(bench: Any) -> Any:
    bench.run(".create table T (a:string, b:long) with (docstring='doc', folder='dir')")
    return bench


def test_create_table_answers_its_schema(table: Any) -> None:
    assert table.columns(".create table U (x:real)") == SCHEMA
    assert table.run(".show table T cslschema") == [
        {
            "TableName": "T",
            "Schema": "a:string,b:long",
            "DatabaseName": "Db",
            "Folder": "dir",
            "DocString": "doc",
        }
    ]


def test_create_table_again_changes_nothing(table: Any) -> None:
    row = table.run(".create table T (z:real) with (docstring='other')")[0]
    assert (row["Schema"], row["DocString"]) == ("a:string,b:long", "doc")


def test_create_merge_adds_at_the_end_and_refuses_another_type(table: Any) -> None:
    row = table.run(".create-merge table T (c:dynamic, a:string)")[0]
    assert row["Schema"] == "a:string,b:long,c:dynamic"
    with pytest.raises(ServiceError, match="its type cannot be changed to real"):
        table.run(".create-merge table T (b:real, d:string)")
    assert table.run(".show table T cslschema")[0]["Schema"] == "a:string,b:long,c:dynamic"


def test_several_tables_at_once(table: Any) -> None:
    rows = table.run(".create tables T (a:string), ['U v'] (x:long) with (folder='new')")
    assert [(row["TableName"], row["Folder"]) for row in rows] == [("T", "dir"), ("U v", "new")]
    with pytest.raises(ServiceError, match="cannot be changed"):
        table.run(".create-merge tables W (a:string), T (a:long)")
    assert "W" not in {row["TableName"] for row in table.run(".show tables")}


def test_names_that_are_no_words_are_quoted(bench: Any) -> None:
    row = bench.run(".create table ['my table'] (['a b']:string, ['1c']:long)")[0]
    assert row["Schema"] == "['a b']:string,['1c']:long"
    assert bench.run(".drop table ['my table']") == []


def test_alter_table(table: Any) -> None:
    assert table.run('.alter table T docstring "new"')[0]["DocString"] == "new"
    assert table.run(".alter table T folder 'x/y'")[0]["Folder"] == "x/y"
    assert table.run(".alter-merge table T (c:string)")[0]["Schema"] == "a:string,b:long,c:string"
    assert table.run(".alter table T (c:string, a:string)")[0]["Schema"] == "c:string,a:string"
    table.run(".alter table T column-docstrings (a:'first')")
    schema = json.loads(table.run(".show table T schema as json")[0]["Schema"])
    assert schema["OrderedColumns"][1] == {
        "Name": "a",
        "Type": "System.String",
        "CslType": "string",
        "DocString": "first",
    }


def test_drop(table: Any) -> None:
    assert table.run(".drop column T.b")[0]["Schema"] == "a:string"
    with pytest.raises(ServiceError, match=r"Entity ID 'T\.b' of kind 'Column' was not found"):
        table.run(".drop column T.b")
    table.run(".drop column T.b ifexists")
    table.run(".drop table T")
    with pytest.raises(ServiceError, match="Entity ID 'T' of kind 'Table' was not found"):
        table.run(".drop table T")
    table.run(".drop table T ifexists")
    table.run(".create tables A (x:string), B (x:string)")
    assert table.run(".drop tables (A, B)") == []


def test_a_dropped_table_comes_back_empty(table: Any) -> None:
    table.run(".ingest inline into table T <|\nx,1")
    table.run(".drop table T")
    table.run(".create table T (a:string, b:long)")
    assert table.query("T") == []


def test_clear_table_data(table: Any) -> None:
    table.run(".ingest inline into table T <|\nx,1\ny,2")
    assert table.run(".clear table T data") == [{"Status": "Success"}]
    assert table.query("T") == []


def test_show_tables_and_details(table: Any) -> None:
    table.run(".ingest inline into table T <|\nx,1\ny,2")
    table.run(".alter-merge table T policy retention softdelete = 3d")
    assert table.run(".show tables") == [
        {"TableName": "T", "DatabaseName": "Db", "Folder": "dir", "DocString": "doc"}
    ]
    details = table.run(".show table T details")[0]
    assert details["TotalRowCount"] == details["HotRowCount"] == 2
    assert json.loads(details["RetentionPolicy"])["SoftDeletePeriod"] == "3.00:00:00"
    assert details["MinExtentsCreationTime"] is not None
    assert table.run(".show tables details") == [details]
    assert table.run(".show tables (T) details") == [details]


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
        (".create table T ingestion avro mapping 'M' '[]'", "keeps json and csv mappings only"),
        (".create table T ingestion json mapping M '[]'", "mapping's name as a string literal"),
        (
            '.alter table T ingestion json mapping \'M\' \'[{"column":"a","Properties":'
            '{"Path":"$.a"}}]\'',
            "MappingPersistent",
        ),
        (".drop table T ingestion json mapping 'M'", "MappingPersistent"),
        (".alter table T columns", "Expected policy, ingestion, docstring"),
        (".alter table T column-docstrings (z:'x')", "'T.z' of kind 'Column' was not found"),
        (".drop table T columns (a, b)", "must keep at least one column"),
        (".add database Db owners ('x')", "Expected 'admins'"),
        (".add database Db viewers (x)", "Expected a principal"),
        (".create database D persist (x, y)", "Expected a path"),
    ],
)
def test_more_wrong_commands(table: Any, command: str, problem: str) -> None:
    before = table.cluster.catalog.database("Db")
    with pytest.raises(ServiceError, match=problem):
        table.run(command)
    assert table.cluster.catalog.database("Db") is before


def test_a_command_about_another_database_names_the_remedy(table: Any) -> None:
    table.run(".create database Other")
    with pytest.raises(ServiceError, match="send it with db=Other, not db=Db"):
        table.run(".alter database Other policy caching hot = 1d")
    assert table.run(".show table Db.T cslschema")[0]["TableName"] == "T"


def test_principals_of_a_table(table: Any) -> None:
    assert table.run(".add table T ingestors ('aadapp=1') skip-results") == []
    assert [row["Role"] for row in table.run(".show table T principals")] == ["Table T Ingestor"]
    assert table.run(".show database principals") == []
    assert table.run(".set table T ingestors none") == []


def test_a_mapping_of_the_database(table: Any) -> None:
    entries = '[{"column":"a","Properties":{"Path":"$.a"}}]'
    table.run(f".create-or-alter database Db ingestion json mapping 'M' '{entries}'")
    shown = table.run(".show database Db ingestion mappings")
    assert [(row["Name"], row["Mapping"]) for row in shown] == [("M", entries)]
    assert "Table" not in shown[0]
    csv = '[{"column":"a","Properties":{"Ordinal":0}}]'
    table.run(f".create table T ingestion csv mapping 'C' '{csv}'")
    assert [row["Kind"] for row in table.run(".show table T ingestion csv mappings")] == ["Csv"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
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
        (".create table U (a:string, a:long)", "declared twice"),
        (".create table U (a:text)", "Expected a scalar type"),
        (".create table U (a:string) with (color='x')", "'color' is not known"),
        (".create table U (a:string) extra", "Expected the end of the command"),
        (".create-merge-table U (a:string)", "A recognition error occurred"),
        (".show", "A recognition error occurred"),
        ("T | take 1", "must begin with a dot"),
        (".purge table T records <| where a == 'x'", "A recognition error occurred"),
        (".show table T extents", "has no extents"),
    ],
)
def test_wrong_commands_are_refused_and_change_nothing(
    table: Any, command: str, problem: str
) -> None:
    before = table.cluster.catalog.database("Db")
    with pytest.raises(ServiceError, match=problem) as caught:
        table.run(command)
    assert caught.value.status == 400
    assert caught.value.permanent
    assert table.cluster.catalog.database("Db") is before


def test_mappings(table: Any) -> None:
    entries = '[{"column":"a","Properties":{"Path":"$.a"}}]'
    first, rest = entries[:20], entries[20:]
    command = f""".create table T ingestion json mapping "M" '{first}' '{rest}'"""
    row = table.run(command)[0]
    assert (row["Name"], row["Kind"], row["Mapping"]) == ("M", "Json", entries)
    assert row["Table"] == "T"
    with pytest.raises(ServiceError, match="already exists"):
        table.run(command)
    other = entries.replace("$.a", "$.b")
    table.run(f""".create-or-alter table T ingestion json mapping "M" '{other}'""")
    assert table.run('.show table T ingestion json mapping "M"')[0]["Mapping"] == other
    assert len(table.run(".show table T ingestion mappings")) == 1
    with pytest.raises(ServiceError, match="kind 'MappingPersistent' was not found") as caught:
        table.run('.show table T ingestion json mapping "N"')
    assert caught.value.code == "BadRequest_MappingReferenceWasNotFound"
    table.run('.drop table T ingestion json mapping "M"')
    assert table.run(".show table T ingestion mappings") == []
    with pytest.raises(ServiceError, match="not valid JSON"):
        table.run(".create table T ingestion json mapping 'M' 'x'")


def test_a_script_reports_each_command(table: Any) -> None:
    script = """
        .create table A (x:string) // first

        .show tables
        .create table A (x:nonsense)
        .create table B (x:string)
    """
    rows = table.run(".execute database script <|" + script)
    assert [(row["CommandType"], row["Result"]) for row in rows] == [
        ("TableCreate", "Completed"),
        ("TablesShow", "Skipped"),
        ("Unknown", "Failed"),
    ]
    assert "Expected a scalar type" in rows[2]["Reason"]
    assert rows[0]["CommandText"] == ".create table A (x:string) // first"
    rows = table.run(".execute database script with (ContinueOnErrors=true) <|" + script)
    assert [row["Result"] for row in rows] == ["Completed", "Skipped", "Failed", "Completed"]
    with pytest.raises(ServiceError, match=r"\(in the script's command '.create table A \(x:non"):
        table.run(".execute database script with (ThrowOnErrors=true) <|" + script)
    with pytest.raises(ServiceError, match="exclude each other"):
        table.run(
            ".execute database script with (ThrowOnErrors=true, ContinueOnErrors=true) <| .show x"
        )


def test_principals_are_recorded(bench: Any) -> None:
    rows = bench.run(".add database Db viewers ('aadapp=1;t', 'aaduser=2') 'why'")
    assert [(row["Role"], row["PrincipalType"], row["Notes"]) for row in rows] == [
        ("Database Db Viewer", "AAD Application", "why"),
        ("Database Db Viewer", "AAD User", "why"),
    ]
    bench.run(".drop database Db viewers ('aaduser=2')")
    assert [row["PrincipalFQN"] for row in bench.run(".show database Db principals")] == [
        "aadapp=1;t"
    ]
    assert bench.run(".set database Db viewers none") == []


def test_databases(bench: Any, make_bench: Callable[..., Any]) -> None:
    bench.run(".create database Other persist (@'/md', @'/data') ifnotexists")
    bench.run(".create database OTHER ifnotexists")
    with pytest.raises(ServiceError, match="already exists"):
        bench.run(".create database other")
    assert [row["DatabaseName"] for row in bench.run(".show databases")] == ["Db", "Other"]
    bench.cluster.close()
    assert len(make_bench().run(".show databases")) == 2


def test_the_schema_of_a_database(table: Any) -> None:
    rows = table.run(".show database Db schema")
    assert [(row["TableName"], row["ColumnName"], row["ColumnType"]) for row in rows] == [
        ("", "", ""),
        ("T", "", ""),
        ("T", "a", "System.String"),
        ("T", "b", "System.Int64"),
    ]
    text = table.run(".show database schema as json")[0]["DatabaseSchema"]
    tables = json.loads(text)["Databases"]["Db"]["Tables"]
    assert tables["T"]["OrderedColumns"][1]["CslType"] == "long"
    assert table.run(".show database cslschema")[0]["Schema"] == "a:string,b:long"


def test_a_read_only_request_changes_nothing(table: Any) -> None:
    with pytest.raises(ServiceError, match="read-only"):
        table.run(".drop table T", request_readonly=True)
    assert len(table.run(".show tables", request_readonly=True)) == 1


def test_what_ran_is_shown(table: Any) -> None:
    with pytest.raises(ServiceError):
        table.run(".nonsense")
    shown = table.run(".show commands")
    assert [(row["CommandType"], row["State"]) for row in shown] == [
        ("Unknown", "Failed"),
        ("TableCreate", "Completed"),
    ]
    table.query("T")
    assert [row["Text"] for row in table.run(".show queries")] == ["T"]


@pytest.mark.parametrize(
    "command",
    [
        ".show version",
        ".show cluster",
        ".show capacity",
        ".show operations",
        ".show operations 11111111-2222-3333-4444-555555555555",
        ".show streamingingestion statistics",
        ".show streamingingestion failures",
        ".show principal roles",
        ".show database",
        ".show database Db principal roles",
        ".show table T",
        ".show table T principals",
    ],
)
def test_other_show_commands_answer(table: Any, command: str) -> None:
    assert table.columns(command)


def test_the_cache_is_cleared(table: Any) -> None:
    done = [{"NodeId": "LocalNode", "Status": "Succeeded"}]
    assert table.run(".clear database cache streamingingestion schema") == done
    assert table.run(".clear table T cache streamingingestion schema") == done

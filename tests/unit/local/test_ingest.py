"""Streaming ingestion without HTTP: which rows arrive, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local import ingest
from langgraph.checkpoint.kusto.local.errors import ServiceError

# ingest-inline.md: "If no data shards are generated, a single record ... with an empty extent ID".
NOTHING = [{"ExtentId": "00000000-0000-0000-0000-000000000000"}]
STREAMING_EXCEPTION = "Kusto.DataNode.Exceptions.StreamingIngestionRequestException"


@pytest.fixture
def table(bench: Any) -> Any:
    bench.run(".create table T (a:string, b:long)")
    bench.run(".alter table T policy streamingingestion enable")
    return bench


def test_the_rows_are_counted_and_visible(table: Any) -> None:
    assert table.ingest("T", '[{"a":"x","b":1},{"a":"y"}]') == 2
    assert table.query("T") == [("x", 1), ("y", None)]


def test_the_formats(table: Any) -> None:
    assert table.ingest("T", '{"a":"x"}\nbroken\n{"a":"y"}', "json") == 2
    assert table.ingest("T", "z,3\n", "CSV") == 1
    assert [row[0] for row in table.query("T")] == ["x", "y", "z"]


def test_one_error_rejects_all_of_multijson(table: Any) -> None:
    with pytest.raises(ServiceError, match=r"Bad streaming ingestion request to Db\.T") as caught:
        table.ingest("T", '{"a":"x"}\n{"a":')
    assert (caught.value.status, caught.value.type) == (400, STREAMING_EXCEPTION)
    assert caught.value.permanent
    assert table.query("T") == []


@pytest.mark.parametrize("body", ["", " \n", "[]"])
def test_an_empty_stream_is_refused(table: Any, body: str) -> None:
    with pytest.raises(ServiceError, match="The input stream is empty after processing, tip:check"):
        table.ingest("T", body)


def test_a_missing_mapping_is_named(table: Any) -> None:
    with pytest.raises(
        ServiceError, match="Entity ID 'M9' of kind 'MappingPersistent' was not found"
    ):
        table.ingest("T", '{"a":"x"}', mapping="M9")


def test_a_mapping_that_does_not_fit_the_table_is_refused(table: Any) -> None:
    table.run(
        ".create table T ingestion json mapping 'M' "
        '\'[{"column":"gone","Properties":{"Path":"$.gone"}}]\''
    )
    with pytest.raises(ServiceError, match="columns the table does not have: gone"):
        table.ingest("T", '{"a":"x"}', mapping="M")


def test_a_mapping_of_the_database_serves_its_tables_and_theirs_comes_first(table: Any) -> None:
    entries = '[{"column":"a","Properties":{"Path":"$.%s"}}]'
    table.run(f".create database Db ingestion json mapping 'M' '{entries % 'x'}'")
    table.ingest("T", '{"x":"database","y":"table"}', mapping="M")
    table.run(f".create table T ingestion json mapping 'M' '{entries % 'y'}'")
    table.ingest("T", '{"x":"database","y":"table"}', mapping="M")
    assert [row[0] for row in table.query("T")] == ["database", "table"]


@pytest.mark.parametrize(
    ("name", "format_", "problem"),
    [
        ("Missing", "multijson", "Entity ID 'Missing' of kind 'Table' was not found"),
        ("T", "parquet", "'parquet' is not supported by the local server"),
        ("T", "nonsense", "'nonsense' is unknown"),
    ],
)
def test_what_does_not_exist_is_named(table: Any, name: str, format_: str, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem) as caught:
        table.ingest(name, '{"a":"x"}', format_)
    assert caught.value.status == 400


def test_the_policy_of_the_table_beats_that_of_the_database(bench: Any) -> None:
    bench.run(".create tables A (a:string), B (a:string)")
    with pytest.raises(ServiceError, match="policy is not enabled"):
        bench.ingest("A", '{"a":"x"}')
    bench.run(".alter database Db policy streamingingestion enable")
    bench.run(".alter table B policy streamingingestion disable")
    assert bench.ingest("A", '{"a":"x"}') == 1
    with pytest.raises(ServiceError, match="policy is not enabled"):
        bench.ingest("B", '{"a":"x"}')


def test_the_policy_cannot_be_set_on_a_cluster_without_streaming(
    make_bench: Callable[..., Any],
) -> None:
    bench = make_bench(streaming=False)
    bench.run(".create table T (a:string)")
    with pytest.raises(ServiceError, match="as streaming ingestion is not enabled"):
        bench.run(".alter table T policy streamingingestion enable")


def test_an_old_schema_is_used_until_the_cache_is_cleared(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(schema_cache=True)
    bench.run(".create table T (a:string)")
    bench.run(".alter table T policy streamingingestion enable")
    bench.ingest("T", '{"a":"x"}')
    bench.run(".create-merge table T (b:long)")
    bench.run(".create table U (a:string)")
    bench.run(".alter table U policy streamingingestion enable")
    bench.ingest("T", '{"a":"y","b":1}')
    with pytest.raises(ServiceError, match="'U' of kind 'Table' was not found"):
        bench.ingest("U", '{"a":"x"}')
    bench.run(".clear database cache streamingingestion schema")
    bench.ingest("U", '{"a":"x"}')
    bench.ingest("T", '{"a":"z","b":1}')
    assert bench.query("T") == [("x", None), ("y", None), ("z", 1)]


def test_rows_beyond_their_retention_go_when_the_server_starts(
    make_bench: Callable[..., Any],
) -> None:
    bench = make_bench()
    bench.run(".create tables Short (a:string), Long (a:string)")
    bench.run(".alter database Db policy streamingingestion enable")
    bench.run(".alter-merge table Short policy retention softdelete = 1d")
    for name in ("Short", "Long"):
        bench.ingest(name, '{"a":"x"}')
    assert bench.cluster.advance(0.5) == 0
    bench.ingest("Short", '{"a":"y"}')
    bench.cluster.clock.advance(0.6)
    assert bench.cluster.drop_expired() == 1
    assert (bench.query("Short"), bench.query("Long")) == ([("y",)], [("x",)])
    with pytest.raises(ValueError, match="forward only, not by -1"):
        bench.cluster.advance(-1)
    bench.cluster.close()
    again = make_bench()
    assert again.query("Short | where ingestion_time() <= now()") == [("y",)]
    assert (again.cluster.advance(0.9), again.cluster.advance(0.2)) == (0, 1)


def test_a_server_that_starts_drops_what_has_expired_meanwhile(
    make_bench: Callable[..., Any],
) -> None:
    bench = make_bench()
    bench.run(".create tables Short (a:string), Long (a:string)")
    bench.run(".alter database Db policy streamingingestion enable")
    bench.run(".alter-merge table Short policy retention softdelete = 1d")
    bench.ingest("Short", '{"a":"x"}')
    bench.cluster.clock.advance(1.1)  # nothing looks at what has expired
    bench.ingest("Long", '{"a":"x"}')
    assert bench.query("Short") == [("x",)]
    bench.cluster.close()
    again = make_bench()
    assert (again.query("Short"), again.query("Long")) == ([], [("x",)])


def test_the_clock_is_what_queries_and_ingestion_times_go_by(bench: Any) -> None:
    bench.run(".create table T (a:string)")
    bench.run(".alter table T policy streamingingestion enable")
    bench.ingest("T", '{"a":"old"}')
    assert bench.cluster.advance(40) == 0
    bench.ingest("T", '{"a":"new"}')
    assert bench.query(
        "T | extend age = now() - ingestion_time() | where age > 39d | project a"
    ) == [("old",)]
    assert bench.query("T | where ingestion_time() > ago(1d) | project a") == [("new",)]


def test_a_schema_cache_ends_with_its_time(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(schema_cache=True)
    bench.run(".create table T (a:string)")
    bench.run(".alter table T policy streamingingestion enable")
    bench.ingest("T", '{"a":"x"}')
    bench.run(".create-merge table T (b:long)")
    bench.cluster.advance(4 / 1440)
    bench.ingest("T", '{"a":"y","b":1}')
    bench.cluster.advance(2 / 1440)
    bench.ingest("T", '{"a":"z","b":1}')
    assert bench.query("T") == [("x", None), ("y", None), ("z", 1)]


def test_inline_ingestion(table: Any) -> None:
    assert len(table.run(".ingest inline into table T <|\nx,1\n'y',2")) == 1
    table.run('.ingest inline into table T with (format="multijson") <| {"a":"m","b":3}')
    table.run(".ingest inline into table T [ n,4 ]")
    assert table.query("T") == [("x", 1), ("'y'", 2), ("m", 3), (" n", 4)]
    assert table.run(".ingest inline into table T <|") == NOTHING


def test_inline_ingestion_with_a_mapping(table: Any) -> None:
    named = '[{"column":"a","Properties":{"Path":"$.x"}}]'
    table.run(f".create table T ingestion json mapping 'M' '{named}'")
    by_name = "format='json', ingestionMappingReference='M'"
    table.run(f'.ingest inline into table T with ({by_name}) <| {{"x":"named","a":"no"}}')
    own = '[{\\"column\\":\\"b\\",\\"Properties\\":{\\"Path\\":\\"$.y\\"}}]'
    by_itself = f'format="json", ingestionMapping="{own}"'
    table.run(f'.ingest inline into table T with ({by_itself}) <| {{"y":7,"b":1}}')
    assert table.query("T") == [("named", None), ("", 7)]


def test_inline_ingestion_may_leave_out_the_first_record(table: Any) -> None:
    table.run(".ingest inline into table T with (ignoreFirstRecord=true) <|\na,b\nx,1\ny,2")
    assert table.query("T") == [("x", 1), ("y", 2)]
    assert table.run(".ingest inline into table T with (ignoreFirstRecord=true) <| a,b") == NOTHING


def test_inline_ingestion_needs_the_role_of_an_ingestor(
    table: Any, make_bench: Callable[..., Any]
) -> None:
    table.cluster.close()
    for role, refused in (("viewer", True), ("monitor", True), ("ingestor", False)):
        bench = make_bench(roles=frozenset({role}))
        if refused:
            with pytest.raises(ServiceError) as caught:
                bench.run(".ingest inline into table T <| x,1")
            assert caught.value.status == 403
        else:
            assert len(bench.run(".ingest inline into table T <| x,1")) == 1
        bench.cluster.close()
    assert make_bench().query("T") == [("x", 1)]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (".ingest inline into table T with (format='multijson') <| {", "JSON parsing error"),
        (
            ".ingest inline into table T with (format='json', ingestionMapping='[]') <| {}",
            "not empty",
        ),
        (
            ".ingest inline into table T with (ingestionMapping='[]', "
            "ingestionMappingReference='M') <| {}",
            "exclude each other",
        ),
        (".ingest inline into table U <| x", "'U' of kind 'Table' was not found"),
    ],
)
def test_wrong_inline_ingestion_is_refused(table: Any, command: str, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem):
        table.run(command)
    assert table.query("T") == []


def test_only_a_prefix_may_be_asked_for(table: Any) -> None:
    data = b'{"a":"1"}\n{"a":"2"}\n{"a":"3"}'
    written = table.cluster.ingest("Db", "T", "multijson", None, data, only_first=lambda _: 2)
    assert written.result(10) == 2
    assert [row[0] for row in table.query("T")] == ["1", "2"]


def test_the_insert_text_is_made_once_per_table(table: Any) -> None:
    schema = table.cluster.catalog.database("Db").tables["T"]
    assert ingest.insert_statement(schema) == "INSERT INTO t1 (ingested, c1, c2) VALUES (?, ?, ?)"
    assert ingest.insert_statement(schema) is ingest.insert_statement(schema)

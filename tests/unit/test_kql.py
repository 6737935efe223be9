"""KQL texts: parameters, columns, quoting. Microsoft's own parser judges them in `make lint`."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.kql_database import Database

from langgraph.checkpoint.kusto import _kql, _schema
from langgraph.checkpoint.kusto._schema import TABLE_BY_NAME, TABLES
from langgraph.checkpoint.kusto.local.cluster import Cluster, Settings
from langgraph.checkpoint.kusto.local.kql import check_query
from langgraph.checkpoint.kusto.local.request import QueryRequest, RequestIds
from langgraph.checkpoint.kusto.local.storage import Storage

PACKAGE = Path(_kql.__file__).parents[1]
TEXTS = dict(_kql.all_texts())
QUERIES = {name: text for name, text in TEXTS.items() if not text.startswith(".")}
each_query = pytest.mark.parametrize("name", QUERIES)


def declared(text: str) -> dict[str, str]:
    found = re.match(r"declare query_parameters\(([^)]*)\);\n", text)
    if not found:
        return {}
    return dict(part.strip().split(":") for part in found.group(1).split(","))


def test_every_text_has_a_name_of_its_own() -> None:
    assert len(list(_kql.all_texts())) == len(TEXTS)


def test_what_is_exported_is_there() -> None:
    assert len(set(_kql.__all__)) == len(_kql.__all__)
    assert [name for name in _kql.__all__ if not hasattr(_kql, name)] == []


def test_every_named_text_is_given_to_the_judge() -> None:
    constants = {name for name in vars(_kql) if name.isupper()}
    texts = {name for name in constants if isinstance(getattr(_kql, name), str)}
    functions = {
        node.name
        for path in (PACKAGE / "_kql").glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")  # parts of others
    } - {"quote_name", "all_texts"}
    given_names = {re.sub(r"\(.*", "", name) for name in TEXTS}

    assert texts | functions <= given_names
    for name in constants - texts:
        if isinstance(by_table := getattr(_kql, name), Mapping):
            named = {f"{name}[{table}]": text for table, text in by_table.items()}
            assert named.items() <= TEXTS.items()
    counts = range(1, _kql.HISTORY_CHANNELS + 1)
    chains = {name: text for name, text in TEXTS.items() if name.startswith("history_chain(")}
    assert chains == {f"history_chain({count})": _kql.history_chain(count) for count in counts}
    assert _schema.create_view(backfill=True) in TEXTS.values(), "provision.kql has the other one"


@each_query
def test_every_query_is_right_for_the_schema(name: str) -> None:
    """Grammar, names and types by the local server's engine; `make lint` asks Microsoft's."""
    assert check_query(QUERIES[name], Database())


@each_query
def test_declared_parameters_are_those_it_uses(name: str) -> None:
    text = QUERIES[name]
    names = declared(text)

    assert set(re.findall(r"\bp_\w+", text)) == set(names)
    # A dynamic could retype what is in it.
    assert set(names.values()) <= {"string", "long", "datetime", "bool"}


@each_query
def test_columns_and_tables_exist(name: str) -> None:
    """Whatever is listed with a column of a table next to it is a column of one of our tables."""
    text = QUERIES[name]
    known = {column.name for table in TABLES for column in table.columns}

    for listed in re.findall(r"\| project ((?:\w+,\s+){2,}\w+)", text):
        made_here = set(re.findall(r"\b(\w+) = ", text))
        assert set(re.split(r",\s+", listed)) <= known | made_here, listed
    for table in re.findall(r"\bCheckpoint\w+", text):
        assert table in TABLE_BY_NAME or table == "CheckpointTombstones"


@each_query
def test_strings_are_never_compared_by_order(name: str) -> None:
    """KQL has no `<` on strings; numbers are compared with what `strcmp` and sums give."""
    text = QUERIES[name]
    strings = {c.name for table in TABLES for c in table.columns if c.type == "string"}
    strings |= {parameter for parameter, kind in declared(text).items() if kind == "string"}

    for left, right in re.findall(r"(\S+) (?:<|>|<=|>=) (\S+)", text):
        assert not {left.lstrip("("), right.rstrip(");,")} & strings
    for left, low, high in re.findall(r"(\w+) between \((\w+) \.\. (\w+)\)", text):
        assert not {left, low, high} & strings


@each_query
def test_dead_rows_are_removed_before_rows_are_deduplicated(name: str) -> None:
    """Else a dead row with a later time would hide the living one."""
    text = QUERIES[name]
    for statement in re.split(r";\n", text):
        if re.search(r"^(?:let \w+ = (?:materialize\()?)?Checkpoints\b", statement):
            for deduplication in ("| top 1 by", "arg_max("):
                if deduplication in statement:
                    before = statement.partition(deduplication)[0]
                    assert "epoch !in (killed)" in before
                    assert "leftanti dead_runs" in before
                    assert "written_at > through" in before


def test_every_command_is_one_a_cluster_takes(tmp_path: Path) -> None:
    """On a database that has the schema, and whose name is quoted like any other."""
    cluster = Cluster(Storage(tmp_path / "kusto.db"), Settings(database="database"))
    cluster.open()
    try:
        for command in _schema.commands():
            manage(cluster, command)
        answers = {
            name: manage(cluster, text) for name, text in TEXTS.items() if text.startswith(".")
        }
    finally:
        cluster.close()

    assert answers.pop("show_operation") == [], "no such operation"
    assert all(answers.values())
    assert "Checkpoints" in str(answers["SHOW_SCHEMA"])
    assert "Checkpoints_v1" in str(answers["show_mappings"])
    assert "IsEnabled" in str(answers["show_streaming"])


def manage(cluster: Cluster, command: str) -> list[list[Any]]:
    request = QueryRequest("database", command, {}, {})
    return [list(row) for row in cluster.manage(request, RequestIds("test")).rows]


def test_the_page_of_a_list_is_as_long_as_it_says() -> None:
    flags = dict.fromkeys(("thread", "namespace", "by_id", "before", "cursor", "metadata"), False)
    assert f"| take {_kql.LIST_PAGE_ROWS}\n" in _kql.list_keys(**flags)


@pytest.mark.parametrize("bits", list(itertools.product([False, True], repeat=6)))
def test_each_clause_of_a_list_brings_its_parameters(bits: tuple[bool, ...]) -> None:
    thread, namespace, by_id, before, cursor, metadata = bits
    text = _kql.list_keys(
        thread=thread,
        namespace=namespace,
        by_id=by_id,
        before=before,
        cursor=cursor,
        metadata=metadata,
    )
    expected = {"p_dead", "p_since"}
    expected |= {"p_thread"} if thread else set()
    expected |= {"p_ns"} if namespace else set()
    expected |= {"p_id"} if by_id else set()
    expected |= {"p_before"} if before else set()
    expected |= {"p_cursor_id", "p_cursor_thread", "p_cursor_ns"} if cursor else set()

    assert set(declared(text)) == expected
    assert ("metadata_data" in text) == metadata
    assert "order by checkpoint_id desc, thread_id asc, checkpoint_ns asc" in text


def test_reading_many_of_one_thread_or_of_all() -> None:
    assert "p_thread" in declared(_kql.read_many(thread=True))
    assert "p_thread" not in declared(_kql.read_many(thread=False))


# ----------------------------------------------------------------------------------------- quoting


def unquote(text: str) -> str:
    """Read a KQL bracketed name as Kusto does: a string literal in brackets, nothing after it."""
    found = re.fullmatch(r"\['((?:[^'\\]|\\.)*)'\]", text, re.DOTALL)
    assert found is not None, text
    return re.sub(r"\\(.)", r"\1", found.group(1), flags=re.DOTALL)


@pytest.mark.parametrize(
    "name",
    ["db", "my db", "it's", "a\\", "\\'", "x'] policy x; .drop table T //", "漢", "", "'" * 9],
)
def test_quoting_known_names(name: str) -> None:
    assert unquote(_kql.quote_name(name)) == name


@given(st.text(max_size=30) | st.text("'\\[];. \n", max_size=30))
def test_quoting_leaves_no_way_out(name: str) -> None:
    assert unquote(_kql.quote_name(name)) == name


@given(st.text(max_size=30))
def test_commands_quote_what_they_are_given(name: str) -> None:
    assert f"['{name}']" == _kql.quote_name(name) or "'" in name or "\\" in name
    for command in (_kql.show_mappings, _kql.show_streaming, _kql.show_database_streaming):
        assert _kql.quote_name(name) in command(name)


def test_an_operation_id_is_a_uuid() -> None:
    text = "0d5a1a4e-6d2e-4b52-9e0a-7e2d8a4e7f11"
    assert _kql.show_operation(text) == f".show operations {text}"
    with pytest.raises(ValueError, match="badly formed"):
        _kql.show_operation("x | take 1")


# ------------------------------------------------------------------------------- nothing elsewhere


def test_no_other_file_makes_query_texts() -> None:
    """Every text the library sends stands in `_kql`, `_schema` or `_functions`."""
    marks = re.compile(r"\|\s*(?:where|project|summarize|take)\b|declare query_parameters")
    for path in PACKAGE.glob("**/*.py"):
        parts = path.relative_to(PACKAGE).parts
        if parts[0] in ("local", "_kql", "_schema.py", "_functions.py"):
            continue
        assert not marks.search(path.read_text(encoding="utf-8")), path.name

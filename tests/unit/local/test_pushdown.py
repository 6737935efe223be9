"""The path from a query text to SQLite's indexes: what the engine pushes down is what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.tables import StoredTable

# Ids of the other threads.
_OF_A = frozenset("01234")
PROVISION = Path(__file__).parents[3] / "provision.kql"
LATEST = """declare query_parameters(thread:string, ns:string);
let newest = materialize(
    LatestCheckpoints
    | where thread_id == thread and checkpoint_ns == ns
    | top 1 by checkpoint_id desc);
let found = materialize(
    Checkpoints
    | where thread_id == thread and checkpoint_ns == ns
    | where checkpoint_id == toscalar(newest | project checkpoint_id));
found | project checkpoint_id, step;
CheckpointBlobs
| where thread_id == thread
| where blob_id in (toscalar(found | project split(blob_ids, ",")));
CheckpointTombstones | where thread_id == thread
"""


@pytest.fixture
def provisioned(bench: Any) -> Any:
    bench.run(
        ".execute database script with (ThrowOnErrors=true) <|\n" + PROVISION.read_text("utf-8")
    )
    for thread in ("a", "b"):
        for number in range(5):
            bench.ingest(
                "Checkpoints",
                f'{{"thread_id":"{thread}","checkpoint_id":"{number}","epoch":"e",'
                f'"step":{number},"blob_ids":"x{number},y{number}"}}',
                mapping="Checkpoints_v1",
            )
    return bench


def test_the_read_of_the_newest_checkpoint_searches_by_index(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    read = StoredTable._read

    def recorded(self: StoredTable, text: str, values: list[Any]) -> Any:
        rows = self._reader.execute("EXPLAIN QUERY PLAN " + text, values).fetchall()
        plans.append(" ".join(row[3] for row in rows))
        return read(self, text, values)

    monkeypatch.setattr(StoredTable, "_read", recorded)
    assert provisioned.query(LATEST, thread="b", ns="") == [("4", 4)]
    assert len(plans) == 4
    assert "USING COVERING INDEX t1_c1_c2_c5_c3_ingested (c1=? AND c2=?)" in plans[0]
    assert plans[0].count("SEARCH t1 ") == plans[0].count("t1_c1_c2_c5_c3_ingested") == 4
    assert "(c1=? AND c2=? AND c5>?)" in plans[0]  # from one epoch to the next
    assert "SCAN t1" not in plans[0]
    assert all(plan.startswith("SEARCH ") and "USING INDEX" in plan for plan in plans[1:]), plans
    assert "(c1=? AND c2=? AND c3=?)" in plans[1]


def test_the_view_reads_one_row_of_each_epoch(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in ("e", "f"):
        provisioned.ingest(
            "Checkpoints",
            f'{{"thread_id":"a","checkpoint_id":"7","epoch":"{epoch}","step":7}}',
            mapping="Checkpoints_v1",
        )
    taken: list[int] = []
    read = StoredTable._read

    def counted(self: StoredTable, text: str, values: list[Any]) -> Any:
        rows = read(self, text, values).fetchall()
        taken.append(len(rows))
        return iter(rows)

    monkeypatch.setattr(StoredTable, "_read", counted)
    text = "LatestCheckpoints | project thread_id, epoch, checkpoint_id, step"
    expected = [("a", "e", "7", 7), ("a", "f", "7", 7)]
    assert sorted(provisioned.query(f"{text} | where thread_id == 'a'")) == expected
    assert taken == [2]
    assert sorted(provisioned.query(text)) == [*expected, ("b", "e", "4", 4)]
    assert taken == [2, 3]
    narrow = "LatestCheckpoints | where epoch in ('f', 'g') | project step"
    assert provisioned.query(narrow) == [(7,)]
    assert taken == [2, 3, 1]


def test_copies_of_the_newest_row_are_left_to_chance(make_bench: Any) -> None:
    found = set()
    for seed in range(12):
        bench = make_bench(f"{seed}.db", seed=seed)
        bench.run(".create table T (thread:string, id:string, n:long)")
        bench.run(".alter table T policy streamingingestion enable")
        bench.run(
            ".create materialized-view V on table T { T | summarize arg_max(id, n) by thread }"
        )
        for n in range(3):
            bench.ingest("T", f'{{"thread":"a","id":"{"yxy"[n]}","n":{n}}}')
        [(number,)] = bench.query("V | project n")
        found.add(number)
    assert found == {0, 2}


def test_a_range_of_ids_is_searched_by_index(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    read = StoredTable._read

    def recorded(self: StoredTable, text: str, values: list[Any]) -> Any:
        rows = self._reader.execute("EXPLAIN QUERY PLAN " + text, values).fetchall()
        plans.append(" ".join(row[3] for row in rows))
        return read(self, text, values)

    monkeypatch.setattr(StoredTable, "_read", recorded)
    text = (
        "Checkpoints | where thread_id == 'a' and checkpoint_ns == ''"
        " | where strcmp(checkpoint_id, '1') > 0 and strcmp(checkpoint_id, '3') <= 0"
        " | project checkpoint_id | order by checkpoint_id asc"
    )
    assert provisioned.query(text) == [("2",), ("3",)]
    assert len(plans) == 1
    assert "INDEX t1_c1_c2_c3 (c1=? AND c2=? AND c3>? AND c3<?)" in plans[0]


@pytest.mark.parametrize("low", ["", "a", "\u00e9", "\uffff", "\U0001f600", "\ud83d"])
def test_texts_compare_in_a_range_as_without(provisioned: Any, low: str) -> None:
    """Also half of a surrogate pair, which a text of a query may hold and SQLite does not take."""
    ids = ["", "Z", "a", "ab", "\u00e9", "\uffff", "\U0001f600"]
    for text in ids:
        row = json.dumps({"thread_id": "t", "checkpoint_id": text, "epoch": "e"})
        provisioned.ingest("Checkpoints", row, mapping="Checkpoints_v1")
    for symbol in ("<", "<=", "==", ">=", ">"):
        where = f"where strcmp(checkpoint_id, wanted) {symbol} 0 | project checkpoint_id"
        text = "declare query_parameters(wanted:string); Checkpoints"
        alone = provisioned.query(f"{text} | {where}", wanted=low)
        inside = provisioned.query(f"{text} | where thread_id == 't' | {where}", wanted=low)
        assert sorted(inside) == sorted(
            row for row in alone if row[0] in ids and row[0] not in _OF_A
        )

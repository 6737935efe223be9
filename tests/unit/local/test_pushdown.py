"""The path from a query text to SQLite's indexes: what the engine pushes down is what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.tables import StoredTable

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
    assert all(plan.startswith("SEARCH ") and "USING INDEX" in plan for plan in plans), plans
    assert "(c1=? AND c2=? AND c3=?)" in plans[1]

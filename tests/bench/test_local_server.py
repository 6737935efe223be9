"""The benchmark of the local server, at its smallest: every kind of request is answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.local_server import ROOT, measure, served, table

KINDS = [
    "ingest 1",
    "ingest 100",
    "ingest 1, 64 at a time",
    "latest",
    "latest of many",
    "payload",
    "page",
    "chain",
    "history",
]


def test_every_kind_of_request_is_measured_on_every_tree() -> None:
    with served(ROOT) as first, served(ROOT) as second:
        rows = asyncio.run(measure([first, second], scale=0.06, times=0.0))
    assert [row[0] for row in rows] == KINDS
    assert all(len(row) == 5 and row[1] > 0 and row[3] > 0 for row in rows)


def test_the_last_column_compares_the_last_tree_with_the_first() -> None:
    text = table([["page", 80.0, 60.0, 20.0, 30.0]], [Path("a"), Path("b")])
    assert text.splitlines()[1].split() == [
        "page",
        "80.00",
        "60.00",
        "20.00",
        "30.00",
        "4.00",
        "2.00",
    ]
    assert table([["page", 80.0, 60.0]], [Path("a")]).splitlines()[1].split()[-1] == "60.00"

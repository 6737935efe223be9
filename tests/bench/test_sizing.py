"""The calculator's arithmetic, over measurements made up for it: figures to be checked by head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks import limits
from benchmarks.advice import advice
from benchmarks.sizing import SIZES, Cluster, Load, estimate, partitions, per_step, room, smallest

TABLES = ("Checkpoints", "CheckpointBlobs", "CheckpointWrites")


def chat(steps: int, characters: int, *sent: float, blobs: float = 0.0) -> dict[str, Any]:
    return {
        "steps": steps,
        "message_characters": characters,
        "bytes": dict(zip(TABLES, sent, strict=True)),
        "wire_bytes": sum(sent) / 2,
        "rows": dict(zip(TABLES, (1, blobs, 3), strict=True)),
        "requests": dict(zip(TABLES, (1, blobs, 1), strict=True)),
        "queries_per_read": 1,
        "query_bytes": 6_000,
        "answer_bytes": 20_000,
        "view_row_bytes": 100,
    }


MEASURED = {
    "client_us_per_call": 500.0,
    "chats": [
        chat(10, 1_000, 4_000, 0, 2_000),
        chat(100, 1_000, 4_000, 1_000, 2_000),
        chat(10, 3_000, 6_000, 1_000, 4_000, blobs=0.2),
        chat(100, 3_000, 6_000, 2_000, 4_000, blobs=0.2),
    ],
}
LOAD = Load(chats_per_s=10, steps_per_chat=10, kb_per_step=1, processes=4)


def test_between_what_was_measured() -> None:
    def sent(steps: float, characters: float) -> list[float]:
        return list(per_step(MEASURED, steps, characters)["bytes"].values())

    assert sent(10, 1_000) == [4_000, 0, 2_000]
    assert sent(100, 3_000) == [6_000, 2_000, 4_000]
    assert sent(10, 2_000) == [5_000, 500, 3_000]
    assert sent(55, 1_000) == [4_000, 500, 2_000]
    assert per_step(MEASURED, 10, 2_000)["requests"]["CheckpointBlobs"] == 0.1


def test_beyond_what_was_measured() -> None:
    """Smaller and longer count as the nearest, larger goes on as before."""

    def sent(steps: float, characters: float) -> list[float]:
        return list(per_step(MEASURED, steps, characters)["bytes"].values())

    assert sent(1, 1) == sent(10, 1_000)
    assert sent(10_000, 1_000) == sent(100, 1_000)
    assert sent(10, 5_000) == [8_000, 2_000, 6_000]


def test_rates_and_bytes() -> None:
    found = estimate(LOAD, MEASURED)

    assert (found.steps_per_s, found.calls_per_s) == (100, 220)
    assert found.alone_requests_per_s == found.requests_per_s == 200
    assert found.streams == pytest.approx(20)
    assert (found.queries_per_s, found.queries) == (20, 1)
    assert found.answer_mb_per_s == 0.4
    assert found.gb_per_hour == pytest.approx(
        {"Checkpoints": 1.44, "CheckpointBlobs": 0, "CheckpointWrites": 0.72}
    )
    assert found.gb_per_million_steps == 6
    assert found.packed_share == 0.5
    assert found.client_cores == 0.11
    assert (found.processes, found.databases) == (1, 1)


def test_what_is_stored_lies_as_long_as_it_was_provisioned_for() -> None:
    found = estimate(replace(LOAD, mean_share=0.5), MEASURED)

    day = 50 * 86_400 * 1e-9  # GB a day for each byte of a step
    assert found.stored_gb == pytest.approx(
        {
            "Checkpoints": 4_000 * day * 120,
            "CheckpointBlobs": 0,
            "CheckpointWrites": 2_000 * day * 150,
        }
    )
    assert found.hot_gb["Checkpoints"] == pytest.approx(4_000 * day * 30)
    assert found.packed_hot_gb("Checkpoints") == pytest.approx(4_000 * day * 15)
    assert found.view_rows == pytest.approx(5 * 86_400 * 90)
    assert found.view_gb == pytest.approx(found.view_rows * 100 / 1e9)
    assert found.gb_per_hour["Checkpoints"] == pytest.approx(1.44)  # the peak stays the peak


def test_calls_share_requests_when_all_slots_are_in_use() -> None:
    busy = replace(LOAD, chats_per_s=100)

    found = estimate(busy, MEASURED)
    assert (found.alone_requests_per_s, found.requests_per_s) == (2_000, 320)
    assert found.streams == pytest.approx(4 * 8)
    assert estimate(replace(busy, processes=8), MEASURED).streams == pytest.approx(64)
    assert estimate(replace(busy, ingest_ms=50), MEASURED).requests_per_s == 640
    lines = list(advice(busy, Cluster(), found))
    assert any(line.startswith("Calls share requests, 6.2 to one: a call waits") for line in lines)


def test_a_request_holds_no_more_than_4_mib() -> None:
    """With one slot and much to send, bytes decide; and one process would not do."""
    load = replace(LOAD, chats_per_s=4_000, processes=1, max_in_flight=1)

    found = estimate(load, MEASURED)

    each_second = 40_000 * 6_000
    assert found.requests_per_s == pytest.approx(each_second / (4 * 1024 * 1024))
    assert found.processes == 63  # 44 cores of calls, a tenth of three left free
    slow = replace(load, ingest_ms=2_000)
    assert estimate(slow, MEASURED).processes == 115
    assert any("1 processes are too few" in line for line in advice(load, Cluster(), found))


def test_a_table_over_4_gb_an_hour_is_spread() -> None:
    found = estimate(replace(LOAD, chats_per_s=30), MEASURED)

    assert found.gb_per_hour["Checkpoints"] == pytest.approx(4.32)
    assert found.databases == 2
    assert found.table_gb_per_hour == pytest.approx(2.16)
    lines = list(advice(LOAD, Cluster(), found))
    [spread] = [line for line in lines if "databases" in line]
    assert "over 2 databases" in spread
    assert 'ingestion="queued"' in spread
    hints = [line for line in lines if "HintAllocatedRate" in line]
    assert [line.partition(": ")[2].split()[2] for line in hints] == [
        "Checkpoints",
        "CheckpointWrites",
    ]
    assert '"HintAllocatedRate":2.2}' in hints[0]


def test_the_smallest_cluster_with_room() -> None:
    assert smallest(0, 0) == Cluster(2, 2)
    assert smallest(0.7 * 24, 0) == Cluster(2, 2)
    assert smallest(0.7 * 24 + 0.1, 0) == Cluster(2, 4)
    assert smallest(0, 15) == Cluster(2, 4)
    assert smallest(500, 100) == Cluster(8, 16)
    assert smallest(2_000, 0) is smallest(0, 200) is None
    streams = [Cluster(*size).streams for size in SIZES]
    assert streams == sorted(streams)


def test_documented_examples_of_streams() -> None:
    """Microsoft's own: 12 for two cores, 96 for sixteen."""
    assert (Cluster(1, 2).streams, Cluster(1, 16).streams) == (12, 96)


def test_what_a_cluster_lacks_is_said() -> None:
    small = Cluster(2, 2)
    busy = estimate(replace(LOAD, chats_per_s=40, read_every=1, query_ms=100), MEASURED)

    assert not room(small, busy.streams, busy.queries)
    lines = list(advice(LOAD, small, busy))
    assert lines[0].startswith("2 x 2 cores take 24 streaming requests at a time (azure/")
    assert lines[1].startswith("2 x 2 cores run 20 queries at a time (kusto/concepts/query-limits)")
    assert lines[2] == "The smallest that is enough: 2 x 8 cores."
    huge = estimate(replace(LOAD, chats_per_s=4_000, read_every=1), MEASURED)
    assert any("spread the threads over clusters" in line for line in advice(LOAD, small, huge))
    calm = estimate(LOAD, MEASURED)
    assert next(iter(advice(LOAD, Cluster(), calm))).startswith("2 x 8 cores are enough")


def test_partitions_need_a_gigabyte_each() -> None:
    def of(days: int, chats: float = 10) -> int:
        load = replace(LOAD, hot_days=days, chats_per_s=chats)
        return partitions(estimate(load, MEASURED), "Checkpoints")

    # 17.28 GB a day, compressed to half.
    assert (of(7), of(8)) == (0, 128)
    assert of(80, chats=1) == 128
    assert partitions(estimate(LOAD, MEASURED), "CheckpointBlobs") == 0
    few = replace(estimate(LOAD, MEASURED), view_rows=9_999)
    assert partitions(few, "Checkpoints") == 0
    lines = list(advice(LOAD, Cluster(), estimate(LOAD, MEASURED)))
    assert any(".alter table Checkpoints policy partitioning" in line for line in lines)
    none = list(advice(LOAD, Cluster(), estimate(replace(LOAD, chats_per_s=0.1), MEASURED)))
    assert any(line.startswith("No partitioning policy") for line in none)


def test_every_limit_has_its_page() -> None:
    for limit in limits.LIMITS:
        assert limit.value > 0
        assert limit.page.split("/")[0] in {"azure", "kusto"}

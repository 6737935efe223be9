"""Benchmarks as `make bench` runs them: clients and servers as processes, counted from outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.bench import TINY
from benchmarks.places import Places
from benchmarks.runs import measure, measure_all
from benchmarks.workloads import WORKLOADS


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    with Places() as found:
        yield found


def test_a_client_over_the_null_transport(places: Places) -> None:
    found = measure(places, WORKLOADS["chat_100"], "kusto+null", TINY)

    counts = found["counts"]
    assert found["units"] == 13
    assert counts["query"] == 1
    assert counts["ingest"] == 12
    assert counts["ingest_Checkpoints"] == counts["ingest_CheckpointWrites"] == 6
    assert counts["ingest_CheckpointBlobs"] == counts["mgmt"] == 0
    assert counts["ingest_bytes"] > counts["ingest_wire_bytes"] > 6 * 500
    assert found["cpu_seconds"] > 0
    assert found["operations"]["get_tuple"]["count"] == 1


def test_large_values_over_the_null_transport(places: Places) -> None:
    """One grew past what stands in the row: the sink gives its blobs back."""
    workload = WORKLOADS["large_1mb"]

    found = measure(places, workload, "kusto+null", TINY)

    assert found["counts"]["ingest_CheckpointBlobs"] >= 1
    assert found["counts"]["ingest_bytes"] > 1_000_000 * 4 / 3
    assert 1 < found["notes"]["peak_states"] < 40


def test_what_fails_is_told_and_the_rest_goes_on(places: Places) -> None:
    said: list[str] = []
    chats = WORKLOADS["chats_100"]
    unknown = replace(chats, name="nothing")

    results, failures = measure_all(
        places, [unknown, chats], lambda name: name == "memory", TINY, 1, said.append
    )

    assert list(results) == ["chats_100"]
    assert results["chats_100"]["memory"]["units"] == 4 * (2 * 6 + 1)
    assert results["chats_100"]["memory"]["runs"] == 1
    assert [failure.partition(":")[0] for failure in failures] == ["nothing over memory"]
    assert "KeyError: 'nothing'" in failures[0]
    assert said[0] == f"FAILED: {failures[0]}"
    assert said[1].startswith("run 1: chats_100 over memory: ")


def test_what_cannot_be_had_is_skipped_with_a_message(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("benchmarks.places.find_programs", lambda: None)

    results, failures = measure_all(
        places, [WORKLOADS["chat_100"]], lambda name: name == "postgres", TINY, 2, said.append
    )

    assert (results, failures) == ({}, [])
    assert said == [
        "chat_100 over postgres: skipped, PostgreSQL is not installed:"
        " sudo apt-get install postgresql"
    ]

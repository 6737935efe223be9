"""Faults: which requests they meet, how often, by chance, and until when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.faults import Faults


def taken(faults: Faults, endpoint: str = "ingest", table: str = "T", text: str = "") -> list[str]:
    return [fault.action for fault in faults.take(endpoint, table, text)]


def test_a_fault_meets_as_many_requests_as_it_says() -> None:
    faults = Faults(None)
    fault = faults.add("status", times=2)
    assert [taken(faults) for _ in range(3)] == [["status"], ["status"], []]
    assert fault.hits == 2


def test_a_fault_without_a_number_goes_on_until_cleared() -> None:
    faults = Faults(None)
    faults.add("latency", times=None)
    assert [taken(faults) for _ in range(3)] == [["latency"]] * 3
    faults.clear()
    assert taken(faults) == []


def test_faults_are_for_an_endpoint_and_a_table() -> None:
    faults = Faults(None)
    faults.add("reset", endpoint="ingest", table="T", times=None)
    faults.add("status", endpoint="query", table="Checkpoints", times=None)
    assert taken(faults, table="T") == ["reset"]
    assert taken(faults, table="U") == []
    assert taken(faults, "query", "", "Checkpoints | take 1") == ["status"]
    assert taken(faults, "query", "", "LatestCheckpoints | take 1") == []


def test_chance_follows_the_seed() -> None:
    def hits(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add("status", times=None, probability=0.5)
        return [bool(taken(faults)) for _ in range(40)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 5 < sum(hits(1)) < 35


@pytest.mark.parametrize(
    "wrong", [{"action": "explode"}, {"status": 999}, {"when": "during"}, {"endpoint": "blob"}]
)
def test_wrong_faults_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a fault is one of|the endpoints are"):
        Faults(None).add(**{"action": "status", **wrong})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 504, 520])
def test_every_status_has_an_error_of_its_own(status: int) -> None:
    error = Faults(None).add("status", status=status).error("/path")
    assert error.status == status
    assert error.permanent == (status < 429)
    assert not Faults(None).add("status", status=status, permanent=False).error("/").permanent


async def test_a_stall_holds_until_released() -> None:
    faults = Faults(None)
    fault = faults.add("stall")
    assert taken(faults) == ["stall"]
    waiting = asyncio.ensure_future(fault.stalled())
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.to_thread(fault.release)
    await waiting
    await fault.stalled()  # released for good


async def test_clearing_releases_spent_stalls() -> None:
    faults = Faults(None)
    fault = faults.add("stall")
    assert taken(faults) == ["stall"]
    assert taken(faults) == []
    waiting = asyncio.ensure_future(fault.stalled())
    await asyncio.sleep(0)
    faults.clear()
    await waiting


def test_a_prefix_by_chance_is_anything_from_nothing_to_all() -> None:
    fault = Faults(1).add("prefix", rows=None)
    assert {fault.prefix_of(3) for _ in range(60)} == {0, 1, 2, 3}
    assert [Faults(1).add("prefix", rows=2).prefix_of(rows) for rows in (1, 2, 5)] == [1, 2, 2]


def test_a_request_that_met_a_fault_may_be_spared_the_next_time() -> None:
    faults = Faults(None)
    faults.add("status", times=None, spare_repeats=True)
    asked = [("T", b"1"), ("T", b"1"), ("U", b"1"), ("T", b"2"), ("T", b"2"), ("T", b"1")]
    found = [bool(faults.take("ingest", table, "", body)) for table, body in asked]
    assert found == [True, False, True, True, False, False]


def test_turbulence_is_transient_and_follows_the_seed() -> None:
    def met(seed: int) -> list[tuple[str, ...]]:
        faults = Faults(seed)
        faults.add_turbulence()
        found = [faults.take("ingest", "T", "", b"%d" % n) for n in range(200)]
        found += [faults.take("query", "", "T", b"%d" % n) for n in range(200)]
        assert not any(fault.error("/").permanent for faults in found for fault in faults)
        return [tuple(fault.action for fault in faults) for faults in found]

    assert met(1) == met(1)
    assert met(1) != met(2)
    assert {action for actions in met(1) for action in actions} == {"prefix", "reset", "status"}

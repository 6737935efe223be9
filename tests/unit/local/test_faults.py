"""Faults: which requests they meet, how often, by chance, and until when."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from langgraph.checkpoint.kusto.local.fault_kinds import ACTIONS, ENDPOINTS
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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 504, 520])
def test_every_status_has_an_error_of_its_own(status: int) -> None:
    error = Faults(None).add("status", status=status).error("/path")
    assert error.status == status
    assert error.permanent == (status < 429)
    assert error.retry_after is None
    other = Faults(None).add("status", status=status, permanent=False, retry_after=2.5).error("/")
    assert (other.permanent, other.retry_after) == (False, 2.5)


def test_an_error_that_is_not_named() -> None:
    assert Faults(None).add("status").error("/").status == 503
    assert Faults(None).add("prefix").error("/").status == 503
    assert Faults(None).add("partial").error("/").code == "LimitsExceeded"
    assert Faults(None).add("partial", status=503).error("/").code == "ServiceUnavailable"


def test_a_fault_strikes_only_the_endpoints_it_is_for() -> None:
    met = {
        action: [endpoint for endpoint in ENDPOINTS if taken_by(action, endpoint)]
        for action in ACTIONS
    }
    assert met == {
        **{action: [*ENDPOINTS] for action in ("status", "latency", "stall", "reset", "cut")},
        "prefix": ["ingest"],  # and of commands those below
        "duplicate": ["ingest"],
        "partial": ["query", "mgmt"],
        "script": [],
        "disk_full": ["mgmt", "ingest"],
        "hide": ["query"],
    }


@pytest.mark.parametrize("action", ["prefix", "duplicate"])
def test_of_commands_only_inline_ingestion_has_rows_to_spoil(action: str) -> None:
    faults = Faults(None)
    faults.add(action, endpoint="mgmt", table="T")
    assert not taken(faults, "mgmt", "", ".set-or-append T <| print 1")
    assert not taken(faults, "mgmt", "", ".ingest inline into table U <| 1")
    assert taken(faults, "mgmt", "", ".ingest inline into table ['T'] <| 1") == [action]


def taken_by(action: str, endpoint: str) -> list[str]:
    faults = Faults(None)
    faults.add(action, table="T")
    return taken(faults, endpoint, "T", "T | count")


def test_a_script_fault_strikes_scripts() -> None:
    faults = Faults(None)
    fault = faults.add("script", commands=1, times=None)
    for text in (".execute database script <| .x", "\n .execute  database\tscript with () <|"):
        assert taken(faults, "mgmt", "", text) == ["script"]
    assert taken(faults, "mgmt", "", ".show tables // .execute database script") == []
    assert fault.script_error(0, "/") is None
    error = fault.script_error(1, "/")
    assert error is not None
    assert error.status == 503
    assert fault.script_error(2, "/") is None


def test_what_is_hidden_is_hidden_from_every_query() -> None:
    faults = Faults(None)
    faults.add("hide", table="T", seconds=5, times=None)
    assert taken(faults, "query", "", "Function()") == ["hide"]


def test_a_cut_lets_through_less_than_the_whole() -> None:
    fault = Faults(1).add("cut")
    assert {fault.cut_at(3) for _ in range(40)} == {0, 1, 2}
    assert fault.cut_at(0) == 0


def test_delays_follow_their_distribution_and_the_seed() -> None:
    def delays(seed: int, distribution: str) -> list[float]:
        fault = Faults(seed).add("latency", seconds=2, distribution=distribution)
        return sorted(fault.delay() for _ in range(1000))

    assert set(delays(1, "fixed")) == {2}
    for distribution in ("uniform", "exponential", "pareto"):
        assert delays(1, distribution) == delays(1, distribution) != delays(2, distribution)
    uniform, exponential, pareto = map(partial(delays, 1), ("uniform", "exponential", "pareto"))
    assert 0 <= uniform[0] < 0.1
    assert 1.9 < uniform[-1] <= 2
    assert 1.8 < sum(exponential) / 1000 < 2.2
    assert exponential[-1] > 8
    assert 2 <= pareto[0] < 2.1
    assert pareto[500] < 4
    assert pareto[-1] > 60
    assert Faults(1).add("latency", distribution="exponential").delay() == 0


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

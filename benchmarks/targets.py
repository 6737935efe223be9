"""The targets, and what a run measured beside each of them. Pure: results in, lines out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .savers import KUSTO, LATENCY, POSTGRES

Results = Mapping[str, Mapping[str, Any]]
"""Medians by workload, then by saver."""


@dataclass(frozen=True)
class Target:
    """One target: `measure` reads it off the results and raises `KeyError` when it cannot."""

    what: str
    bound: float
    at_least: bool
    measure: Callable[[Results], float]

    @property
    def wanted(self) -> str:
        """The bound as it is printed."""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:,g}"


@dataclass(frozen=True)
class Outcome:
    """A target, what was measured, and whether it is met; None where nothing was measured."""

    what: str
    wanted: str
    measured: float | None
    met: bool | None


def outcomes(results: Results) -> list[Outcome]:
    """Hold the results against every target."""
    return [_outcome(target, results) for target in TARGETS]


def _outcome(target: Target, results: Results) -> Outcome:
    try:
        found = target.measure(results)
    except KeyError:
        return Outcome(target.what, target.wanted, None, None)
    met = found >= target.bound if target.at_least else found <= target.bound
    return Outcome(target.what, target.wanted, found, met)


def _requests_for(results: Results, workload: str, *tables: str) -> float:
    found = results[workload][KUSTO]
    sent = sum(found["counts"][f"ingest_{table}"] for table in tables)
    return float(sent / found["operations"]["put"]["count"])


def _queries_for_read(results: Results, workload: str) -> float:
    found = results[workload][KUSTO]
    return float(found["counts"]["query"] / found["operations"]["get_tuple"]["count"])


def _against_postgres(results: Results, workload: str, name: str) -> float:
    found = results[workload]
    return float(found[KUSTO][name] / found[POSTGRES][name])


def _stored_ratio(results: Results) -> float:
    found = results["chat_500"]
    return float(found[KUSTO]["counts"]["ingest_bytes"] / found[POSTGRES]["counts"]["stored_bytes"])


def _growth(results: Results) -> float:
    notes = results["list"][KUSTO]["notes"]
    return float((notes["growth_bytes_all"] - notes["growth_bytes_few"]) / 1e6)


def _growing(megabytes: int, kilobytes: float) -> Target:
    return Target(
        f"kB ingested for a value of {megabytes} MB that grew by 500 bytes",
        kilobytes,
        False,
        lambda results: (
            results[f"growing_{megabytes}mb"][KUSTO]["notes"]["ingested_bytes_per_step"] / 1000
        ),
    )


TARGETS = (
    Target(
        "requests for checkpoint rows, per put, one caller",
        1,
        False,
        lambda results: _requests_for(results, "chat_100", "Checkpoints"),
    ),
    Target(
        "requests for rows and large values, per put, one caller",
        2,
        False,
        lambda results: _requests_for(results, "chat_100", "Checkpoints", "CheckpointBlobs"),
    ),
    Target(
        "requests per put, 500 concurrent chats",
        0.05,
        False,
        lambda results: _requests_for(results, "chats_500", "Checkpoints", "CheckpointBlobs"),
    ),
    Target(
        "queries per aget_tuple, one caller",
        1,
        False,
        lambda results: _queries_for_read(results, "chat_100"),
    ),
    Target(
        "queries per aget_tuple, 500 concurrent chats",
        1,
        False,
        lambda results: _queries_for_read(results, "chats_500"),
    ),
    Target(
        "client CPU per operation / AsyncPostgresSaver's, 100 concurrent chats",
        0.5,
        False,
        lambda results: _against_postgres(results, "chats_100", "cpu_us_per_unit"),
    ),
    Target(
        "operations/s / AsyncPostgresSaver's, 100 concurrent chats",
        2,
        True,
        lambda results: _against_postgres(results, "chats_100", "per_second"),
    ),
    Target(
        "operations/s with 100 ms an ingest and 30 ms a query, 500 concurrent chats",
        2_000,
        True,
        lambda results: results["chats_500"][KUSTO + LATENCY]["per_second"],
    ),
    Target(
        "peak memory of put and get of 100 MB, in states",
        4,
        False,
        lambda results: results["large_100mb"][KUSTO]["notes"]["peak_states"],
    ),
    Target(
        "queries before the first of 10,000 listed checkpoints",
        2,  # a page of keys, and the payload of the first of them
        False,
        lambda results: results["list"][KUSTO]["notes"]["queries_before_first"],
    ),
    Target(
        "MB a client grows by more listing 10,000 checkpoints than 1,000",
        1,
        False,
        _growth,
    ),
    Target(
        "bytes ingested over a chat of 500 steps / what Postgres stores",
        1 / 20,
        False,
        _stored_ratio,
    ),
    _growing(1, 8),
    _growing(8, 32),
    _growing(50, 150),
)

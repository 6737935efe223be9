"""Running clients: each measurement in a process of its own, in an empty place, several times over.

Runs are interleaved, so that what changes on the machine meanwhile is shared by all savers.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from shared.processes import Child

from .bench import FULL, Workload
from .places import Place, Places
from .savers import place_of

CLIENT_PATIENCE_SECONDS = 1_800.0

Result = dict[str, Any]


class ClientError(Exception):
    """A client ended without a result."""


def measure(
    places: Places, workload: Workload, saver: str, size: str, profile: str | None = None
) -> Result:
    """Run one client in an empty place.

    Raises:
        ClientError: it failed; the message is what it said.
    """
    with places.open(place_of(saver)) as place:
        if workload.cold:
            _run_client(place, workload, saver, size, create=True)
        cold = workload.cold
        return _run_client(
            place, workload, saver, size, create=not cold, cold=cold, profile=profile
        )


def _run_client(
    place: Place,
    workload: Workload,
    saver: str,
    size: str,
    *,
    create: bool,
    cold: bool = False,
    profile: str | None = None,
) -> Result:
    task = {
        "saver": saver,
        "workload": workload.name,
        "size": size,
        # A sink has no tables to create.
        "address": {**place.address, "create": create and place_of(saver) != "null"},
        "cold": cold,
        "profile": profile,
        "spawned": time.monotonic(),
    }
    client = Child(
        [sys.executable, "-m", "benchmarks.client", json.dumps(task)],
        stdin=True,
        patience=CLIENT_PATIENCE_SECONDS,
    )
    try:
        _line(client)
        before = place.counts()
        if not cold:
            client.say("")
        found = _line(client)
        after = place.counts()
        if not cold:
            client.say("")
        code = client.wait()
        if code:
            raise ClientError(f"ended with {code}: {client.errors()}")
    finally:
        client.close()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    return {**found, "counts": grown}


def _line(client: Child) -> Result:
    line = client.line()
    if line is None:
        raise ClientError(client.errors() or "ended without a result")
    found: Result = json.loads(line)
    return found


def measure_all(
    places: Places,
    workloads: Sequence[Workload],
    wanted: Callable[[str], bool],
    size: str,
    runs: int,
    say: Callable[[str], None],
) -> tuple[dict[str, dict[str, Result]], list[str]]:
    """Measure each workload over each of its savers.

    Gives medians by workload and saver, and what failed; a saver that cannot be had on this machine
    is skipped with a message.
    """
    taken: dict[tuple[str, str], list[Result]] = {}
    failures: list[str] = []
    for turn in range(runs):
        for workload in workloads:
            for saver in filter(wanted, workload.savers):
                if size != FULL and saver in workload.full_only:
                    continue
                missing = places.missing(place_of(saver))
                if missing is not None:
                    if turn == 0:
                        say(f"{workload.name} over {saver}: skipped, {missing}")
                    continue
                try:
                    found = measure(places, workload, saver, size)
                except ClientError as error:
                    failures.append(f"{workload.name} over {saver}: {error}")
                    say(f"FAILED: {failures[-1]}")
                    continue
                taken.setdefault((workload.name, saver), []).append(found)
                say(
                    f"run {turn + 1}: {workload.name} over {saver}:"
                    f" {found['per_second']:,.1f} {workload.unit}s/s,"
                    f" {found['cpu_us_per_unit']:,.0f} us CPU each"
                )
    medians: dict[str, dict[str, Result]] = {}
    for (name, saver), results in taken.items():
        medians.setdefault(name, {})[saver] = {**_median(results), "runs": len(results)}
    return medians, failures


def _median(results: Sequence[Any]) -> Any:
    """The median of every number, at whatever depth; results of one client are alike."""
    first = results[0]
    if isinstance(first, Mapping):
        names: Iterable[str] = first
        return {name: _median([result[name] for result in results]) for name in names}
    return statistics.median(results)

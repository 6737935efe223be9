"""The campaign finds the defects that are planted in the library, and nothing without them.

Small campaigns, each with the faults under which its defects must show. How much a writer gets done
before it is killed is up to the machine: a campaign that did not come to the point is followed by
one with another seed.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crash.campaign import Database, Plan, Result, provisioned, run, work_and_check
from crash.checker import Findings
from crash.defective import Warm
from crash.defects import DEFECTS, plant
from crash.faults import Deck, Faults

from langgraph.checkpoint.kusto import _core, _frames, _writer
from langgraph.checkpoint.kusto._caches import Manifests
from langgraph.checkpoint.kusto._commits import Commits
from langgraph.checkpoint.kusto._core import Core
from langgraph.checkpoint.kusto._overlay import Overlay
from langgraph.checkpoint.kusto._rows import _Spill

pytestmark = [pytest.mark.local_only, pytest.mark.timeout(600)]

SEEDS = range(1, 5)


def _faults(*specs: str) -> Faults:
    return [(spec, spec) for spec in specs]


# Nobody sees in this time what was stored, except who stored it.
HIDDEN = Plan(
    rounds=1,
    operations=220,
    clients=1.0,
    threads=16,
    changes=0.2,
    faults=_faults("hide:5,table=Checkpoints", "hide:5,table=LatestCheckpoints"),
    options={"visibility_timeout": 0.3},
)
# Blobs wait for long or are refused, and the caller hears of each error.
FAILING = Plan(
    rounds=1,
    operations=100,
    clients=1.0,
    threads=16,
    changes=0.5,
    faults=_faults(
        "stall,endpoint=ingest,table=CheckpointBlobs,probability=0.3",
        "status:503,endpoint=ingest,probability=0.25",
    ),
    options={"max_retries": 0, "ingest_timeout": 1.0, "visibility_timeout": 0.3},
)
PLANS = {
    "row-before-blobs": FAILING,
    "overlay-dropped": HIDDEN,
    "silent-give-up": FAILING,
    "split-without-submission": HIDDEN,
    "mixed-chunks": HIDDEN,
    "dangling-reference": FAILING,
    "wrong-base": HIDDEN,
    "epoch-from-thread": HIDDEN,
}
assert PLANS.keys() == DEFECTS.keys()


class Bench:
    """Warm processes and a file with tables, for one small campaign after the other."""

    def __init__(self, folder: Path, servers: Warm, writers: Warm) -> None:
        self._folder, self._servers, self._writers = folder, servers, writers
        provisioned(HIDDEN, folder / "template", (servers, writers))
        self._number = 0

    def findings(self, plan: Plan, defect: str | None = None) -> Findings:
        """Run a campaign; its files stay only when something was wrong with it."""
        self._number += 1
        here = self._folder / str(self._number)
        shutil.copytree(self._folder / "template", here)
        self._writers.defect = defect
        rng, result = random.Random(plan.seed), Result()
        forks = (self._servers, self._writers)
        try:
            work_and_check(Database(plan, Deck(rng), rng, here, forks), plan.rounds, result)
        finally:
            self._writers.end_child()
            self._servers.end_child()
        assert result.clients_killed == plan.rounds
        assert all(result.struck[name] for name, _ in plan.faults or ()), result.struck
        shutil.rmtree(here)
        return result.findings


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("defects")
    with closing(Warm("crash.servers")) as servers, closing(Warm("crash.defective")) as writers:
        yield Bench(folder, servers, writers)


def shown(findings: Findings) -> str:
    return "\n".join(f"{finding.kind}: {finding.what}" for finding in findings.found[:20])


@pytest.mark.parametrize("plan", [HIDDEN, FAILING], ids=["hidden", "failing"])
def test_nothing_is_found_without_a_defect(bench: Bench, plan: Plan) -> None:
    findings = bench.findings(replace(plan, seed=SEEDS[0]))
    assert not findings.found, shown(findings)
    calls = findings.acknowledged
    assert calls["put"] + calls["writes"] >= plan.operations / 2
    assert findings.alive > 0 < findings.value_bytes


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(bench: Bench, name: str) -> None:
    kinds: Counter[str] = Counter()
    for seed in SEEDS:
        findings = bench.findings(replace(PLANS[name], seed=seed), name)
        kinds.update(finding.kind for finding in findings.found)
        if kinds[DEFECTS[name].finds]:
            return
    pytest.fail(f"{name} was not found; what was: {dict(kinds)}")


def test_the_campaign_itself_plants_a_defect() -> None:
    plan = replace(HIDDEN, operations=100, seed=SEEDS[0], defect="mixed-chunks")
    assert run(plan).findings.count("torn")


def test_a_defect_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError, match=r"a defect is one of row-before-blobs, .*, not 'other'"):
        plant("other")


async def _another(*_: object) -> None:
    """Stands where something else stood."""


PLACES = [
    ("row-before-blobs", _core, "_all"),
    ("row-before-blobs", Commits, "run"),
    ("overlay-dropped", Overlay, "acknowledge"),
    ("silent-give-up", _writer, "run"),
    ("split-without-submission", Core, "put_writes"),
    ("mixed-chunks", _Spill, "add"),
    ("dangling-reference", Core, "_submit_blobs"),
    ("dangling-reference", Manifests, "unchanged"),
    ("wrong-base", _frames, "encode_frame"),
    ("epoch-from-thread", Core, "_epoch_for_put"),
]


@pytest.mark.parametrize(("name", "owner", "place"), PLACES)
def test_a_defect_whose_place_is_gone_or_another_is_not_planted(
    monkeypatch: pytest.MonkeyPatch, name: str, owner: Any, place: str
) -> None:
    before = getattr(owner, place)
    monkeypatch.delattr(owner, place)
    with pytest.raises(AssertionError, match=f"has no {place} any more"):
        plant(name)
    monkeypatch.setattr(owner, place, _another, raising=False)
    with pytest.raises(AssertionError, match=f"{place} (takes|does not use) "):
        plant(name)
    monkeypatch.undo()
    assert getattr(owner, place) is before


@pytest.mark.parametrize(
    ("name", "user", "used"),
    [
        ("row-before-blobs", "_submit_put", "_all"),
        ("overlay-dropped", "_acknowledge", "acknowledge"),
        ("dangling-reference", "_submit_blobs", "_lost_blobs"),
        ("epoch-from-thread", "put", "_epoch_for_put"),
    ],
)
def test_a_defect_of_what_nobody_uses_is_not_planted(
    monkeypatch: pytest.MonkeyPatch, name: str, user: str, used: str
) -> None:
    monkeypatch.setattr(Core, user, _another)
    with pytest.raises(AssertionError, match=f"does not use {used} any more"):
        plant(name)

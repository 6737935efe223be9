"""The checker on stores made by hand: what is right passes, each kind of wrong is found."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crash.campaign import Plan, Result, goals_missed
from crash.events import digest, metadata_digest, pieces_digest
from crash.faults import AT_A_TIME, HIDDEN, KINDS, REQUESTS, Deck
from crash.made_rows import Hand, blob_rows
from crash.scene import LARGE, Scene
from shared.places import Place, command, local_place
from shared.processes import ROOT, child_environment

from langgraph.checkpoint.kusto.local.fault_specs import parse_fault

pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with tables and without rows."""
    path = tmp_path_factory.mktemp("template") / "kusto.db"
    with local_place(path=path):
        return path


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Iterator[Place]:
    path = shutil.copy(template, tmp_path / "kusto.db")
    with local_place(path=path, provisioned=False) as found:
        yield found


@pytest.fixture
def scene(place: Place, tmp_path: Path) -> Iterator[Scene]:
    """Two lives of a thread, the first of them deleted, and a straggler."""
    with Hand(place.uri, place.database) as hand:
        made = Scene(place.uri, place.database, hand, tmp_path)
        made.put("c1", {"note": b"one"})
        made.put_writes("c1", [b"p", b"q"])
        made.delete("1")
        made.put("c2", {"note": b"two", "steady": LARGE}, life="2", blobs={"steady": "b1"})
        made.put("c1x", {"note": b"late"}, life="1", parent="c1")
        made.put_writes("c2", [b"r", LARGE], life="2")
        yield made
        made.close()


def kinds_of(scene: Scene) -> list[str]:
    return sorted({finding.kind for finding in scene.check().found})


def given(values: dict[str, Any], life: str) -> tuple[str, str, str]:
    """What a read notes of a checkpoint."""
    return life, digest(values), metadata_digest({"life": life, "digest": digest(values)})


# ------------------------------------------------------------------------------ what is right


def test_a_right_store_passes(scene: Scene) -> None:
    scene.put("c3", {"note": b"unheard"}, life="2", parent="c2", acknowledged=False)
    scene.put(
        "c4", {"note": b"never sent"}, life="2", parent="c2", acknowledged=False, stored=False
    )
    scene.put_writes("c3", [b"s"], life="2", acknowledged=False, epoch="")
    row = scene.put("c5", {"note": b"twice"}, life="2", parent="c2")
    scene.hand.send("Checkpoints", row)
    scene.put("c5", {"note": b"again"}, life="2", parent="c2")

    findings = scene.check()

    assert findings.found == []
    assert findings.acknowledged == {"put": 5, "writes": 2, "delete": 1}
    assert (findings.threads, findings.copies, findings.alive) == (1, 6, 3)
    assert (findings.unacknowledged, findings.copies_dead, findings.lives_ended) == (1, 2, 1)
    assert (findings.submissions, findings.repeated_rows) == (3, 1)
    assert findings.value_bytes == len(LARGE)


def test_what_a_kill_leaves_is_counted_and_is_no_finding(scene: Scene) -> None:
    scene.hand.send("CheckpointBlobs", blob_rows("t", "b2", LARGE)[0])
    rows = scene.put_writes(
        "c2", [b"s", b"t"], task="cut", life="2", acknowledged=False, stored=False
    )
    scene.hand.send("CheckpointWrites", *rows[:2])

    findings = scene.check()

    assert findings.found == []
    assert (findings.partial_blobs, findings.partial_submissions) == (1, 1)
    assert findings.under_way == 1


def test_a_put_endangered_by_a_delete_may_be_dead_or_alive(scene: Scene) -> None:
    scene.put("c3", {"note": b"unheard"}, life="3", acknowledged=False)
    scene.delete("2", "3", acknowledged=False)

    assert kinds_of(scene) == []


# ------------------------------------------------------------------------------ lost


def test_a_put_that_is_not_there_is_lost(scene: Scene) -> None:
    scene.put("c3", {"note": b"gone"}, life="2", parent="c2", stored=False)

    assert kinds_of(scene) == ["lost"]


def test_a_thread_that_is_not_there_is_lost(place: Place, tmp_path: Path) -> None:
    with Hand(place.uri, place.database) as hand:
        scene = Scene(place.uri, place.database, hand, tmp_path)
        scene.put("c1", {"note": b"gone"}, stored=False)
        scene.put_writes("c1", [b"gone"], stored=False)
        found = scene.check().found
        scene.close()

    assert [finding.kind for finding in found] == ["lost", "lost"]


def test_writes_that_are_not_there_are_lost(scene: Scene) -> None:
    scene.put_writes("c2", [b"gone"], task="other", life="2", stored=False)

    assert kinds_of(scene) == ["lost"]


def test_an_older_copy_in_front_of_the_last_is_lost(scene: Scene) -> None:
    scene.put("c3", {"note": b"one"}, life="2", parent="c2", submission_id="first")
    scene.put("c3", {"note": b"two"}, life="2", parent="c2", stored=False)

    assert kinds_of(scene) == ["lost"]


def test_a_life_nobody_deleted_that_is_dead_is_lost(scene: Scene) -> None:
    scene.put("c3", {"note": b"three"}, life="3")
    stone = {"thread_id": "t", "tombstone_id": "t9", "scope": "epochs", "part": 0, "parts": 1}
    scene.hand.send("CheckpointTombstones", {**stone, "ids": "e3", "codec": 1})

    assert kinds_of(scene) == ["lost"]


def test_writes_of_another_life_are_not_shown_and_lost(scene: Scene) -> None:
    scene.put_writes("c2", [b"p"], task="other", life="2", epoch="e9")

    assert kinds_of(scene) == ["lost"]


# ------------------------------------------------------------------------------ torn


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_row_whose_blob_lacks_a_chunk_is_torn(scene: Scene, left_out: int) -> None:
    values = {"note": b"three", "steady": LARGE}
    row = scene.put(
        "c3",
        values,
        life="2",
        parent="c2",
        blobs={"steady": "b2"},
        acknowledged=False,
        stored=False,
    )
    rows = blob_rows("t", "b2", LARGE)
    assert len(rows) == 2
    scene.hand.send("CheckpointBlobs", rows[1 - left_out])
    scene.hand.send("Checkpoints", row)

    assert kinds_of(scene) == ["torn"]


def test_a_row_whose_blob_is_not_there_is_torn(scene: Scene) -> None:
    values = {"note": b"three", "steady": LARGE}
    row = scene.put(
        "c3",
        values,
        life="2",
        parent="c2",
        blobs={"steady": "b2"},
        acknowledged=False,
        stored=False,
    )
    scene.hand.send("Checkpoints", row)

    assert kinds_of(scene) == ["torn"]


def test_chunks_of_two_copies_under_one_identity_are_torn(scene: Scene) -> None:
    scene.hand.send("CheckpointBlobs", *blob_rows("t", "b1", bytes(len(LARGE))))

    assert kinds_of(scene) == ["torn"]


def test_a_row_with_a_value_that_was_changed_is_torn(scene: Scene) -> None:
    row = scene.put("c3", {"note": b"three"}, life="2", parent="c2", stored=False)
    row["inline_data"] = row["inline_data"].replace('"note"', '"other"')
    scene.hand.send("Checkpoints", row)

    assert kinds_of(scene) == ["torn"]


def test_a_checkpoint_that_nobody_put_is_torn(scene: Scene) -> None:
    row = scene.put("c3", {"note": b"three"}, life="2", parent="c2")
    other = scene.put("c4", {"note": b"four"}, life="2", parent="c2", stored=False)
    scene.hand.send("Checkpoints", {**other, "metadata_data": row["metadata_data"]})

    assert "torn" in kinds_of(scene)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_part_of_a_call_that_shows_as_a_whole_one_is_torn(
    scene: Scene, acknowledged: bool
) -> None:
    rows = scene.put_writes(
        "c2", [b"s", b"t"], task="split", life="2", acknowledged=acknowledged, stored=False
    )
    part = [row | {"submission_rows": 2} for row in rows[:2]]
    scene.hand.send("CheckpointWrites", *part)

    assert "torn" in kinds_of(scene)


# ------------------------------------------------------------------------------ resurrected


def test_a_checkpoint_of_a_deleted_life_in_a_new_epoch_is_resurrected(scene: Scene) -> None:
    scene.put("c1y", {"note": b"back"}, life="1", parent="c1", epoch="e2", acknowledged=False)

    assert kinds_of(scene) == ["resurrected"]


def test_a_delete_that_is_not_there_resurrects(scene: Scene) -> None:
    scene.delete("2", stored=False)

    assert kinds_of(scene) == ["resurrected"]


def test_a_tombstone_that_lacks_a_part_kills_nothing(scene: Scene) -> None:
    scene.delete("2", stored=False)
    stone = {"thread_id": "t", "tombstone_id": "t9", "scope": "epochs", "part": 1, "parts": 2}
    scene.hand.send("CheckpointTombstones", {**stone, "ids": "e2", "codec": 1})

    assert kinds_of(scene) == ["resurrected"]


def test_writes_of_a_deleted_life_on_a_living_checkpoint_are_resurrected(scene: Scene) -> None:
    scene.put_writes("c2", [b"back"], task="straggler", life="1", epoch="e2")

    assert kinds_of(scene) == ["resurrected"]


# ------------------------------------------------------------------------------ there twice


def test_two_rows_of_one_identity_that_differ_are_duplicates(scene: Scene) -> None:
    row = scene.put("c3", {"note": b"three"}, life="2", parent="c2", submission_id="same")
    scene.hand.send("Checkpoints", {**row, "parent_checkpoint_id": "c1"})

    assert "duplicate" in kinds_of(scene)


def test_a_put_that_is_there_under_two_identities_is_a_duplicate(scene: Scene) -> None:
    row = scene.put("c3", {"note": b"three"}, life="2", parent="c2")
    scene.hand.send("Checkpoints", {**row, "submission_id": "another"})

    assert kinds_of(scene) == ["duplicate"]


def test_writes_that_are_there_under_two_identities_are_duplicates(scene: Scene) -> None:
    rows = scene.put_writes("c2", [b"s"], task="twice", life="2")
    scene.hand.send("CheckpointWrites", *[{**row, "submission_id": "another"} for row in rows])

    assert kinds_of(scene) == ["duplicate"]


# ------------------------------------------------------------------------------ views


LIVE_OTHER = """Checkpoints
    | where checkpoint_id == "c1"
    | project thread_id, checkpoint_ns, checkpoint_id, submission_id, epochs = pack_array(epoch)"""
LIVE_TWICE = LIVE_OTHER.replace("c1", "c2")
OTHER_BODIES = {
    "LiveCheckpoints()": LIVE_OTHER,
    "LivePendingWrites()": """CheckpointWrites
    | project thread_id, checkpoint_ns, checkpoint_id, task_id, idx, submission_id
    | where checkpoint_id == "c1" """,
    "Deletions()": """print thread_id = "t", scope = "epochs", epoch = "e7", run_id = "",
    checkpoint_ns = "", checkpoint_id = "", through = datetime(null)""",
}


@pytest.mark.parametrize("name", OTHER_BODIES)
def test_a_function_that_shows_something_else_is_found(
    place: Place, scene: Scene, name: str
) -> None:
    command(place, f".create-or-alter function {name} {{ {OTHER_BODIES[name]} }}")

    findings = scene.check()

    assert {finding.kind for finding in findings.found} == {"view"}
    assert any(finding.what.startswith(name) for finding in findings.found)


def test_a_function_that_shows_a_checkpoint_twice_is_found(place: Place, scene: Scene) -> None:
    doubled = f"union ({LIVE_TWICE}), ({LIVE_TWICE})"
    command(place, f".create-or-alter function LiveCheckpoints() {{ {doubled} }}")

    assert "duplicate" in kinds_of(scene)


def test_a_view_that_lags_behind_its_table_is_found(place: Place, scene: Scene) -> None:
    place.server.faults.add("hide", table="LatestCheckpoints", seconds=3600.0, times=None)

    findings = scene.check()

    assert {finding.kind for finding in findings.found} == {"view"}
    assert all(finding.what.startswith("LatestCheckpoints") for finding in findings.found)


# ------------------------------------------------------------------------------ reads


def test_right_reads_pass(scene: Scene) -> None:
    two, three = {"note": b"two", "steady": LARGE}, {"note": b"three"}
    scene.read("-", "c2", *given(two, "2"), f"task:3:{pieces_digest([b'r', LARGE])}")
    scene.put("c3", three, life="2", parent="c2")
    scene.read("-", "c3", *given(three, "2"), "-")
    scene.read("c2", "c2", *given(two, "2"), f"task:3:{pieces_digest([b'r', LARGE])}")

    findings = scene.check()

    assert findings.found == []
    assert findings.reads == 3


ALL_WRITES = f"task:3:{pieces_digest([b'r', LARGE])}"
WRONG_READS: dict[str, tuple[str, tuple[object, ...]]] = {
    "nothing, though something was acknowledged": ("-", ("-",)),
    "an older one": ("-", ("c2", *given({"note": b"two", "steady": LARGE}, "2"), ALL_WRITES)),
    "another one than was asked for": ("c2", ("c3", *given({"note": b"three"}, "2"), "-")),
    "values nobody put": ("-", ("c3", *given({"note": b"four"}, "2"), "-")),
    "a checkpoint nobody put": ("-", ("c9", *given({"note": b"nine"}, "2"), "-")),
    "one of a deleted life": ("c1x", ("c1x", *given({"note": b"late"}, "1"), "-")),
    "no writes": ("c2", ("c2", *given({"note": b"two", "steady": LARGE}, "2"), "-")),
    "a part of the writes": (
        "c2",
        ("c2", *given({"note": b"two", "steady": LARGE}, "2"), f"task:2:{pieces_digest([b'r'])}"),
    ),
}


@pytest.mark.parametrize("what", WRONG_READS)
def test_a_wrong_read_is_found(scene: Scene, what: str) -> None:
    scene.put("c3", {"note": b"three"}, life="2", parent="c2")
    wanted, found = WRONG_READS[what]
    scene.read(wanted, *found)

    assert kinds_of(scene) == ["read"]


def test_what_another_writer_did_may_not_show_yet(scene: Scene, tmp_path: Path) -> None:
    scene.put("c3", {"note": b"three"}, life="2", parent="c2")
    scene.put("c3", {"note": b"again"}, life="2", parent="c2")
    scene.delete("2")
    scene.next_writer()
    scene.read("-", "-")
    scene.read("-", "c2", *given({"note": b"two", "steady": LARGE}, "2"), "-")
    scene.read("-", "c3", *given({"note": b"three"}, "2"), "-")

    assert kinds_of(scene) == []


def test_a_delete_of_a_writer_that_was_killed_may_show_later(scene: Scene) -> None:
    scene.delete("2", acknowledged=False)
    scene.next_writer()
    scene.put("c3", {"note": b"three"}, life="2", parent="c2")
    scene.read("-", "-")

    assert kinds_of(scene) == []


def test_a_read_of_something_that_is_not_whole_is_found(scene: Scene) -> None:
    scene.log.failed(scene.log.begin("read", "t", "-"), "IncompleteCheckpointError", "maybe")
    scene.log.failed(scene.log.begin("read", "t", "-"), "ServiceUnavailableError", "maybe")

    findings = scene.check()

    assert [finding.kind for finding in findings.found] == ["read"]
    assert sum(findings.errors.values()) == 2


# ------------------------------------------------------------------------------ its parts


def test_the_checker_imports_nothing_of_the_library() -> None:
    code = (
        "import sys; import crash.checker, crash.history, crash.store, crash.events;"
        " print([name for name in sys.modules if name.startswith('lang')])"
    )
    environment = child_environment({"PYTHONPATH": str(ROOT / "tests")})
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"


def test_every_fault_is_one_of_the_local_server() -> None:
    assert len(KINDS) == len(REQUESTS) + len(HIDDEN) >= 15
    for spec in KINDS.values():
        assert parse_fault(spec)["times"] is None
    assert len({str(parse_fault(spec)) for spec in KINDS.values()}) == len(KINDS)


def test_all_faults_come_up_before_one_comes_up_again() -> None:
    deck = Deck(random.Random(1))
    servers = [deck.of_server() for _ in range(-(-len(REQUESTS) // AT_A_TIME))]

    assert {name for faults in servers for name, _ in faults} == set(REQUESTS)
    for faults in servers:
        assert len({name for name, _ in faults}) == AT_A_TIME
    assert {name for _ in range(40) for name, _ in deck.of_database()} == set(HIDDEN)


def test_a_campaign_that_did_too_little_misses_its_goals() -> None:
    result = Result(clients_killed=60, servers_killed=40, struck=Counter(dict.fromkeys(KINDS, 1)))
    result.findings.acknowledged["put"] = 900
    plan = Plan(rounds=100, operations=900)
    assert goals_missed(plan, result) == []

    assert goals_missed(replace(plan, operations=1_000), result) == [
        "900 acknowledged calls, not 1000"
    ]
    assert goals_missed(replace(plan, rounds=101), result) == ["100 kills, not 101"]
    del result.struck["disk full"]
    assert goals_missed(plan, result) == ["'disk full' never struck"]
    result.struck = Counter(dict.fromkeys([*KINDS][:14], 1))
    assert goals_missed(replace(plan, rounds=99), result) == ["14 kinds of faults struck, not 15"]

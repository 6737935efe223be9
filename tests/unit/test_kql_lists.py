"""What the queries of lists mean, pages of keys and many checkpoints at once: run over rows."""

from __future__ import annotations

from typing import Any

import pytest
from shared.kql_database import NOTHING_DEAD, Cells, Database, column, dead

from langgraph.checkpoint.kusto import _kql

MEGABYTE = 1_000_000


@pytest.fixture
def db() -> Database:
    return Database()


# ---------------------------------------------------------------------------------------- lists

FLAGS = ("thread", "namespace", "by_id", "before", "cursor", "metadata")
PARAMETERS = {
    "p_thread": "thread",
    "p_ns": "namespace",
    "p_id": "by_id",
    "p_before": "before",
    "p_cursor_id": "cursor",
}


def keys_page(db: Database, *, metadata: bool = False, **parameters: str) -> list[Cells]:
    """A page of keys, with the clauses the given parameters ask for."""
    flags = dict.fromkeys(FLAGS, False) | {"metadata": metadata}
    flags |= {PARAMETERS[name]: True for name in parameters if name in PARAMETERS}
    page, _ = db.ask(_kql.list_keys(**flags), **{**NOTHING_DEAD, **parameters})
    return page


def submissions(page: list[Cells]) -> list[str]:
    return [row["submission_id"] for row in page]


def add_some(db: Database) -> None:
    db.checkpoint("s1", "1", "e1")
    db.checkpoint("s2", "2", "e1")
    db.checkpoint("s3", "2", "e1", checkpoint_ns="child")
    db.checkpoint("s4", "2", "e1", thread_id="a")
    db.checkpoint("s5", "3", "e1", thread_id="a")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["s5", "s4", "s2", "s3", "s1"]),
        ({"p_thread": "t"}, ["s2", "s3", "s1"]),
        ({"p_ns": ""}, ["s5", "s4", "s2", "s1"]),
        ({"p_id": "2"}, ["s4", "s2", "s3"]),
        ({"p_before": "3"}, ["s4", "s2", "s3", "s1"]),
        ({"p_before": "2"}, ["s1"]),
        ({"p_thread": "t", "p_ns": "child", "p_id": "2", "p_before": "3"}, ["s3"]),
    ],
)
@pytest.mark.parametrize("metadata", [False, True])
def test_a_list_is_newest_first_and_narrowed_by_what_is_asked(
    metadata: bool, parameters: dict[str, str], expected: list[str], db: Database
) -> None:
    add_some(db)

    assert submissions(keys_page(db, metadata=metadata, **parameters)) == expected


def test_a_page_begins_after_the_last_key_of_the_page_before(db: Database) -> None:
    add_some(db)
    pages = [keys_page(db)]
    for row in pages[0]:
        after = {
            "p_cursor_id": row["checkpoint_id"],
            "p_cursor_thread": row["thread_id"],
            "p_cursor_ns": row["checkpoint_ns"],
        }
        pages.append(keys_page(db, **after))

    whole = ["s5", "s4", "s2", "s3", "s1"]
    assert [submissions(page) for page in pages] == [whole[start:] for start in range(6)]


def test_a_page_has_at_most_so_many_rows(db: Database) -> None:
    for number in range(_kql.LIST_PAGE_ROWS + 5):
        db.checkpoint(f"s{number}", f"{number:05d}", "e1")

    assert submissions(keys_page(db)) == [f"s{number}" for number in range(204, 4, -1)]


@pytest.mark.parametrize("metadata", [False, True])
def test_a_list_shows_the_living_copy_that_was_written_last(metadata: bool, db: Database) -> None:
    db.checkpoint("s1", "1", "e1", written_at=5, total_bytes=7, metadata_data="old")
    db.checkpoint("s2", "1", "e1", written_at=6, total_bytes=8, metadata_data="new")
    db.checkpoint("s3", "1", "e0", written_at=7)
    db.checkpoint("s4", "1", "e2", written_at=8)
    db.kill("e0", written_at=9)
    db.kill("e0", written_at=9, thread_id="other")
    [row] = keys_page(db, metadata=metadata, p_dead=dead("epochs", "e2"))

    key = {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "1"}
    expected = {**key, "submission_id": "s2", "written_at": 6, "total_bytes": 8}
    assert row == ({**expected, "metadata_data": "new"} if metadata else expected)


def test_a_list_tells_the_tombstones_of_the_threads_it_covers(db: Database) -> None:
    db.kill("e1")
    db.kill("e2", thread_id="other")
    flags = dict.fromkeys(FLAGS, False)
    _, of_all = db.ask(_kql.list_keys(**flags), **NOTHING_DEAD)
    _, of_one = db.ask(_kql.list_keys(**flags | {"thread": True}), **NOTHING_DEAD, p_thread="t")

    assert (column(of_all, "ids"), column(of_one, "ids")) == (["e1", "e2"], ["e1"])


def test_metadata_too_long_for_a_page_is_left_to_a_read_of_its_own(db: Database) -> None:
    db.checkpoint("s1", "1", "e1", metadata_data="x" * 65_536)
    db.checkpoint("s2", "2", "e1", metadata_data="x" * 65_537)

    assert [len(row["metadata_data"]) for row in keys_page(db, metadata=True)] == [0, 65_536]


# ------------------------------------------------------------------------------ many checkpoints


def many(db: Database, submission_ids: str, **changes: Any) -> list[list[Cells]]:
    parameters = {**NOTHING_DEAD, "p_budget": MEGABYTE, "p_rows": 100, **changes}
    text = _kql.read_many(thread="p_thread" in changes)
    return db.ask(text, p_submissions=submission_ids, **parameters)


def add_many(db: Database) -> None:
    for thread in ("t", "a"):
        for number in ("1", "2", "3"):
            name = thread + number
            db.checkpoint(f"s{name}", number, "e1", thread_id=thread, blob_ids=f"b{name},c{name}")
            db.blob(f"b{name}", thread_id=thread)
            db.blob(f"c{name}", thread_id=thread)
            db.write(f"w{name}", number, "e1", thread_id=thread, row_bytes=3)
            db.write(f"d{name}", number, "e0", thread_id=thread)
            db.write(f"n{name}", number, "e1", thread_id=thread, checkpoint_ns="child")
            db.write(f"w{name}", number, "e1", thread_id="by hand")
        db.blob("", thread_id=thread)  # nobody's
        db.kill("e0", thread_id=thread)


def test_some_checkpoints_whole(db: Database) -> None:
    add_many(db)
    answer, heads, _, blobs, writes, tombstones = many(db, "st1,sa2")

    assert answer == [{"fits": True}]
    assert column(heads, "submission_id") == ["sa2", "st1"]
    assert column(blobs, "blob_id") == ["ba2", "bt1", "ca2", "ct1"]
    assert column(writes, "submission_id") == ["wa2", "wt1"]
    assert column(tombstones, "thread_id") == ["a", "t"]


def test_some_checkpoints_of_one_thread(db: Database) -> None:
    add_many(db)
    _, heads, _, blobs, writes, tombstones = many(db, "st1,st3,sa2", p_thread="t")

    assert column(heads, "submission_id") == ["st1", "st3"]
    assert column(blobs, "blob_id") == ["bt1", "bt3", "ct1", "ct3"]
    assert column(writes, "submission_id") == ["wt1", "wt3"]
    assert column(tombstones, "thread_id") == ["t"]


@pytest.mark.parametrize(("budget", "rows", "fits"), [(6, 2, True), (5, 2, False), (6, 1, False)])
def test_many_pending_writes_are_left_to_reads_of_their_own(
    budget: int, rows: int, fits: bool, db: Database
) -> None:
    add_many(db)
    answer, heads, _, blobs, writes, _ = many(db, "st1,st2", p_budget=budget, p_rows=rows)

    assert (answer, len(heads)) == ([{"fits": fits}], 2)
    assert (len(blobs), len(writes)) == ((4, 2) if fits else (0, 0))
    no_room = {"p_budget": 0, "p_rows": 0}
    assert many(db, "st1,st2", **no_room)[0] == [{"fits": False}]
    assert many(db, "st1,st2", p_dead=dead("epochs", "e1"), **no_room)[0] == [{"fits": True}]

"""Counting what SQLite does: nothing until it is asked for, then statements, steps and rows."""

from __future__ import annotations

from shared.places import command, local_place, query

from benchmarks.sqlite_work import watched


def test_what_sqlite_does_is_counted_from_the_start_on() -> None:
    with watched() as work, local_place(provisioned=False) as place:
        command(place, ".create table T (a:string)")
        command(place, ".ingest inline into table T <| x")
        query(place, "T")
        assert set(work.counted().values()) == {0}

        work.start()
        command(place, ".ingest inline into table T <|\ny\nz")
        inserted = dict(work.counted())
        query(place, "T")
        found = dict(work.counted())

    assert inserted["statements"] >= 2
    assert inserted["rows"] == 0
    assert found["rows"] == 3
    assert found["statements"] == inserted["statements"] + 1
    assert found["steps"] > inserted["steps"] > 0


def test_what_is_opened_afterwards_is_not_watched() -> None:
    with watched() as work:
        work.start()
    with local_place(provisioned=False) as place:
        command(place, ".create table T (a:string)")

    assert set(work.counted().values()) == {0}

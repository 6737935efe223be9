"""Storage: group commit, snapshots, one server for a file, a full disk, a dead writer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from langgraph.checkpoint.kusto.local.errors import LocalKustoError
from langgraph.checkpoint.kusto.local.storage import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "data.db")
    storage.open()
    storage.write(lambda db: db.execute("CREATE TABLE t (x)"))
    yield storage
    storage.close()


def insert(value: int) -> object:
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (value,)).rowcount


def values(storage: Storage) -> list[int]:
    with storage.reading() as reader:
        return [row[0] for row in reader.execute("SELECT x FROM t ORDER BY x")]


def test_a_write_is_answered_and_read(storage: Storage) -> None:
    assert storage.write(insert(1)) == 1
    assert values(storage) == [1]


def test_the_file_is_durable_and_in_wal_mode(storage: Storage) -> None:
    def pragmas(db: sqlite3.Connection) -> tuple[str, int]:
        journal = db.execute("PRAGMA journal_mode").fetchone()[0]
        return journal, db.execute("PRAGMA synchronous").fetchone()[0]

    assert storage.write(pragmas) == ("wal", 2)  # 2 is FULL


def test_jobs_that_wait_together_share_a_commit(storage: Storage) -> None:
    begun, go_on = threading.Event(), threading.Event()
    commits: list[str] = []

    def hold(db: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    first = storage.submit(hold)
    assert begun.wait(10)
    waiting = [storage.submit(insert(value)) for value in range(50)]
    go_on.set()
    assert [future.result(10) for future in waiting] == [1] * 50
    first.result(10)
    storage.write(lambda db: db.set_trace_callback(None))
    # One commit for the job that held the writer, one for the fifty that waited, and the last one's
    # own is not traced any more.
    assert len(commits) == 2
    assert values(storage) == list(range(50))


def test_a_failing_job_undoes_only_itself(storage: Storage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(db: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (100)")
        raise ValueError("after a row")

    storage.submit(hold)
    assert begun.wait(10)
    before, bad, after = (storage.submit(job) for job in (insert(1), half, insert(2)))
    go_on.set()
    assert (before.result(10), after.result(10)) == (1, 1)
    with pytest.raises(ValueError, match="after a row"):
        bad.result(10)
    assert values(storage) == [1, 2]


def test_a_snapshot_does_not_see_later_writes(storage: Storage) -> None:
    storage.write(insert(1))
    with storage.reading() as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
        storage.write(insert(2))
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
    with storage.reading(snapshot=False) as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (2,)
        storage.write(insert(3))
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (3,)


def test_a_reader_cannot_write(storage: Storage) -> None:
    with storage.reading() as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("INSERT INTO t VALUES (1)")


def test_closing_finishes_what_was_submitted(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "data.db")
    storage.open()
    storage.write(lambda db: db.execute("CREATE TABLE t (x)"))
    futures = [storage.submit(insert(value)) for value in range(300)]
    storage.close()
    storage.close()
    assert all(future.result(0) == 1 for future in futures)
    with pytest.raises(LocalKustoError, match="closed"):
        storage.submit(insert(1))
    storage.open()
    assert values(storage) == list(range(300))
    storage.close()


def test_a_second_server_is_refused(storage: Storage) -> None:
    second = Storage(storage.path)
    with pytest.raises(LocalKustoError, match="in use by another local Kusto server"):
        second.open()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalKustoError, match="name a file in a folder that exists"):
        Storage(tmp_path / "missing" / "data.db").open()


def test_another_programs_file_is_refused_and_unlocked(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    for _ in range(2):
        with pytest.raises(LocalKustoError, match="SQLite file of another program"):
            Storage(path).open()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, only some longer text\n" * 50)
    with pytest.raises(LocalKustoError, match="not a file of the local Kusto server"):
        Storage(path).open()


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    storage = Storage(path)
    storage.open()
    storage.write(lambda db: db.execute("PRAGMA user_version"))
    storage.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(LocalKustoError, match="format 99"):
        Storage(path).open()


def test_a_full_disk_fails_everybody_in_the_group_and_the_next_write_works(
    storage: Storage,
) -> None:
    pages = storage.write(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    storage.write(lambda db: db.execute(f"PRAGMA max_page_count={pages + 1}").fetchone())
    with pytest.raises(sqlite3.OperationalError, match="full"):
        storage.write(lambda db: db.execute("INSERT INTO t VALUES (zeroblob(1000000))"))
    storage.write(lambda db: db.execute("PRAGMA max_page_count=1000000").fetchone())
    storage.write(insert(1))
    assert values(storage) == [1]


def test_a_lost_transaction_fails_everybody_in_the_group(storage: Storage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(db: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    def lose(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")
        raise ValueError("SQLite gave up")

    storage.submit(hold)
    assert begun.wait(10)
    before, lost = storage.submit(insert(1)), storage.submit(lose)
    go_on.set()
    for future in (before, lost):
        with pytest.raises(sqlite3.OperationalError, match="transaction lost: SQLite gave up"):
            future.result(10)
    assert values(storage) == []
    assert storage.write(insert(2)) == 1


def test_when_the_writer_dies_everybody_is_told(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def die(db: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        raise SystemExit("the writer is gone")

    first = storage.submit(die)
    assert begun.wait(10)
    waiting = [storage.submit(insert(value)) for value in range(300)]
    go_on.set()
    for future in (first, *waiting):
        with pytest.raises(SystemExit, match="the writer is gone"):
            future.result(10)
    with pytest.raises(LocalKustoError, match="not writable: the writer is gone"):
        storage.submit(insert(1))
    assert "data.db stops" in caplog.text
    storage.close()
    storage.open()
    assert storage.write(insert(1)) == 1


def test_its_state_is_shown(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "data.db")
    assert repr(storage).endswith("data.db', closed)")
    storage.open()
    assert repr(storage).endswith("data.db', open)")
    storage.close()

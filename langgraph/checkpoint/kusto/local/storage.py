"""The SQLite file behind the local server.

Lives here: opening and locking the file, one writer thread whose commits may serve several
requests, and a reading connection per thread. Does not live here: what the tables mean (`catalog`,
`tables`).

Rules:
- a job's future is answered only after the commit that contains it: acknowledged means durable
  (WAL with synchronous=FULL, so also after `kill -9` and power loss);
- jobs of one group share a commit, each in a savepoint of its own: a failing job undoes only
  itself;
- when SQLite gives up the whole transaction, or the writer dies, every waiting job gets that error.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from .errors import LocalKustoError
from .filelock import FileLock

logger = logging.getLogger(__name__)

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

# "KuLo": tells our files from other SQLite files.
APPLICATION_ID = 0x4B754C6F
FORMAT_VERSION = 1
# How many jobs share a commit at most, so that the first does not wait for an endless stream.
GROUP_LIMIT = 256
# The statement cache must hold the few dozen scan and insert texts of a busy schema.
CACHED_STATEMENTS = 512


class Storage:
    """One open SQLite file: `submit` writes, `reading` reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path)
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._intake_lock = threading.Lock()
        self._broken: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"Storage({str(self.path)!r}, {'open' if self._thread else 'closed'})"

    def open(self) -> None:
        """Lock and open the file, creating it when absent, and start the writer.

        Raises:
            LocalKustoError: another server has the file open, or it is not one of ours.
        """
        self._lock.acquire()
        try:
            writer = self._prepared()
        except BaseException:
            self._lock.release()
            raise
        self._broken = None
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(writer,), name="local-kusto-writer", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Finish the jobs already submitted, then close every connection and unlock the file."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._intake_lock:
            self._broken = self._broken or LocalKustoError("the local server is closed")
            self._queue.put(None)
        thread.join()
        with self._readers_lock:
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()
        self._local = threading.local()
        self._lock.release()

    def submit(self, job: Job[T]) -> Future[T]:
        """Run a job in the writer thread and answer after its commit.

        Cancelling the future does not take a job back that the writer has begun.

        Raises:
            LocalKustoError: the file is closed, or the writer has died.
        """
        pending = _Pending(_filling(job) if getattr(self._local, "full", False) else job)
        with self._intake_lock:
            if self._broken is not None:
                raise LocalKustoError(f"the storage is not writable: {self._broken}")
            self._queue.put(pending)
        return pending.future

    def write(self, job: Job[T]) -> T:
        """Run a job in the writer thread and wait for its commit."""
        return self.submit(job).result()

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let what this thread submits inside fail as it does when the disk is full."""
        local = self._local
        local.full = True
        try:
            yield
        finally:
            local.full = False

    @contextlib.contextmanager
    def reading(self, *, snapshot: bool = True) -> Iterator[sqlite3.Connection]:
        """Yield this thread's reading connection.

        Args:
            snapshot: whether all statements see one moment; without it each statement sees the
                newest commits, as the statements of one Kusto batch may.
        """
        reader = self._reader()
        if snapshot:
            reader.execute("BEGIN")
        try:
            yield reader
        finally:
            if snapshot:
                reader.execute("COMMIT")

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._connect()
            reader.execute("PRAGMA query_only=ON")
            self._local.reader = reader
            with self._readers_lock:
                self._readers.append(reader)
        return reader

    def _prepared(self) -> sqlite3.Connection:
        """Return the writing connection of a file that is ours."""
        try:
            writer = self._connect()
        except sqlite3.DatabaseError as error:
            raise _foreign(self.path, error) from error
        try:
            _prepare(writer, self.path)
        except BaseException:
            writer.close()
            raise
        return writer

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
            timeout=30.0,
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA cache_size=-32000")
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self, writer: sqlite3.Connection) -> None:
        try:
            while self._take_group(writer):
                pass
        finally:
            self._fail_all()
            writer.close()

    def _take_group(self, writer: sqlite3.Connection) -> bool:
        group: list[_Pending] = []
        first = self._queue.get()
        if first is None:
            return False
        group.append(first)
        going_on = True
        while len(group) < GROUP_LIMIT:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                going_on = False
                break
            group.append(more)
        try:
            _commit_group(writer, group)
        except BaseException as error:
            logger.critical("the writer of %s stops", self.path, exc_info=error)
            self._broken = error
            for pending in group:
                pending.fail(error)
            return False
        return going_on

    def _fail_all(self) -> None:
        with self._intake_lock:
            if self._broken is None:
                self._broken = LocalKustoError("the writer stopped")
            error = self._broken
            while True:
                try:
                    left = self._queue.get_nowait()
                except queue.Empty:
                    return
                if left is not None:
                    left.fail(error)


class _Pending:
    """A submitted job, its outcome inside the transaction, and the future of its sender."""

    __slots__ = ("error", "future", "job", "result")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        if self.error is not None:
            self.fail(self.error)
        elif self.future.set_running_or_notify_cancel():
            self.future.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


def _filling(job: Job[T]) -> Job[T]:
    """Return a job that writes its rows and then fails with SQLite's word for a full disk."""

    def full(writer: sqlite3.Connection) -> T:
        job(writer)
        raise sqlite3.OperationalError("database or disk is full")

    return full


def _commit_group(writer: sqlite3.Connection, group: list[_Pending]) -> None:
    """Run the jobs in one transaction and answer each of them."""
    try:
        writer.execute("BEGIN IMMEDIATE")
        for pending in group:
            _run_in_savepoint(writer, pending)
        writer.execute("COMMIT")
    except sqlite3.Error as error:
        # Disk full, I/O error: nothing of the group is durable, so nobody may be acknowledged.
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        for pending in group:
            pending.fail(error)
        return
    for pending in group:
        pending.answer()


def _run_in_savepoint(writer: sqlite3.Connection, pending: _Pending) -> None:
    writer.execute("SAVEPOINT job")
    try:
        pending.result = pending.job(writer)
    except Exception as error:
        if not writer.in_transaction:
            # SQLite rolled back everything, the other jobs of the group included.
            raise sqlite3.OperationalError(f"transaction lost: {error}") from error
        writer.execute("ROLLBACK TO job")
        pending.error = error
    writer.execute("RELEASE job")


def _prepare(writer: sqlite3.Connection, path: Path) -> None:
    """Create or verify our file."""
    try:
        application = writer.execute("PRAGMA application_id").fetchone()[0]
        tables = writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = writer.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise _foreign(path, error) from error
    if application != APPLICATION_ID and tables:
        raise LocalKustoError(f"{path} is an SQLite file of another program; name another file")
    if tables and version != FORMAT_VERSION:
        raise LocalKustoError(
            f"{path} has format {version}, this server reads format {FORMAT_VERSION}; "
            "start with a new file"
        )
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute(f"PRAGMA application_id={APPLICATION_ID}")
    writer.execute(f"PRAGMA user_version={FORMAT_VERSION}")
    writer.execute(
        "CREATE TABLE IF NOT EXISTS kusto_databases (id INTEGER PRIMARY KEY, schema BLOB NOT NULL)"
    )
    writer.execute(
        "CREATE TABLE IF NOT EXISTS kusto_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    )


def _foreign(path: Path, error: sqlite3.DatabaseError) -> LocalKustoError:
    return LocalKustoError(f"{path} is not a file of the local Kusto server: {error}")

"""What savers talk to, each in processes of its own: started here, counted here.

A place gives the address its clients are told, and what was counted there so far.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differential.postgres import INSTALL, find_programs, running
from shared.processes import Child

SERVER_PATIENCE_SECONDS = 120.0
DELAYS = ("latency:0.1,endpoint=ingest", "latency:0.03,endpoint=query")
"""What the latency place adds: 100 ms for each ingest, 30 ms for each query."""

ROUND_TRIP_SECONDS = 0.03
"""What the slow PostgreSQL adds to each round trip, commits included."""

Counts = Mapping[str, float]


@dataclass(frozen=True)
class Place:
    """Where one client goes."""

    address: Mapping[str, Any]
    counts: Callable[..., Counts]
    """What was counted so far; a server takes a line that it is told first."""


class Places:
    """Makes places; what takes long to start is kept for the next."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._numbers = itertools.count()
        self._postgres: str | None = None

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]  # what `with` hands over

    def missing(self, kind: str) -> str | None:
        """Why a kind cannot be had on this machine; None when it can."""
        if kind.startswith("postgres"):
            if find_programs() is None:
                return f"PostgreSQL is not installed: {INSTALL}"
            return _missing_module("langgraph.checkpoint.postgres.aio") or _missing_module(
                "psycopg_pool"
            )
        if kind == "file":
            return _missing_module("langgraph.checkpoint.sqlite.aio")
        return None

    def open(self, kind: str) -> AbstractContextManager[Place]:
        """An empty place of a kind."""
        return {
            "postgres": self._database,
            "postgres+latency": self._slow_database,
            "local": lambda: _served("benchmarks.kusto_server"),
            "local+latency": lambda: _served("benchmarks.kusto_server", *_fault_options()),
            "null": lambda: _served("benchmarks.sink"),
            "file": _file,
            "nothing": _nothing,
        }[kind]()

    @contextmanager
    def _database(self) -> Iterator[Place]:
        import psycopg

        if self._postgres is None:
            programs = find_programs()
            assert programs is not None, INSTALL
            self._postgres = self._stack.enter_context(running(programs, ()))
        name = f"bench{next(self._numbers)}"
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            try:
                yield Place(
                    {"connection": self._postgres.replace("dbname=postgres", f"dbname={name}")},
                    lambda: _postgres_counts(self._connection_to(name)),
                )
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def _slow_database(self) -> Iterator[Place]:
        """A database behind a proxy that delays what is sent to it."""
        with self._database() as place:
            connection = place.address["connection"]
            with _served("benchmarks.delay", connection, str(ROUND_TRIP_SECONDS)) as proxy:
                yield Place(proxy.address, place.counts)

    def _connection_to(self, name: str) -> str:
        assert self._postgres is not None
        return self._postgres.replace("dbname=postgres", f"dbname={name}")


def _postgres_counts(connection_string: str) -> Counts:
    """The size of the tables, once there are any."""
    import psycopg

    with psycopg.connect(connection_string, autocommit=True) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
            " WHERE relkind = 'r' AND relname IN"
            " ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')"
        ).fetchone()
    assert row is not None
    return {"stored_bytes": int(row[0])}


@contextmanager
def _served(module: str, *options: str) -> Iterator[Place]:
    server = Child(
        [sys.executable, "-m", module, *options], stdin=True, patience=SERVER_PATIENCE_SECONDS
    )
    try:
        address = server.line()
        if address is None:
            raise RuntimeError(f"{module} did not start: {server.errors()}")

        def counts(line: str = "") -> Counts:
            server.say(line)
            found: Counts = json.loads(server.line() or "{}")
            return found

        yield Place(json.loads(address), counts)
    finally:
        server.close()


def _fault_options() -> list[str]:
    return [option for fault in DELAYS for option in ("--fault", fault)]


@contextmanager
def _file() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder, "checkpoints.sqlite")

        def counts() -> Counts:
            return {"stored_bytes": sum(part.stat().st_size for part in Path(folder).iterdir())}

        yield Place({"file": os.fspath(path)}, counts)


@contextmanager
def _nothing() -> Iterator[Place]:
    yield Place({}, dict)


def _missing_module(name: str) -> str | None:
    """Looked for by importing: namespace packages make a mere search unreliable."""
    import importlib

    try:
        importlib.import_module(name)
    except ImportError as error:
        return f'{error.name or name} is missing: pip install "langgraph-checkpoint-kusto[bench]"'
    return None

"""Where tests run: a live cluster, local servers in this process or in one of their own.

No test stands here, and nothing about savers but `setup`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.kusto.data import KustoClient, KustoConnectionStringBuilder

from langgraph.checkpoint.kusto import KustoSaver
from langgraph.checkpoint.kusto.local import LocalKusto

from .processes import Child

DATABASE = "TestDb"


@dataclass(frozen=True)
class Place:
    """An endpoint; `local` is the server when it runs in this process."""

    uri: str
    database: str
    local: LocalKusto | None = None

    @property
    def server(self) -> LocalKusto:
        """The server in this process."""
        assert self.local is not None, "this test needs a local server of its own"
        return self.local


def live_place() -> Place | None:
    """The cluster the environment names, if it names one."""
    uri, database = os.environ.get("KUSTO_CLUSTER_URI"), os.environ.get("KUSTO_DATABASE")
    return Place(uri, database) if uri and database else None


def asked_seed() -> int | None:
    """The seed the environment asks local servers to decide by what Kusto leaves open."""
    seed = os.environ.get("KUSTO_TEST_SEED")
    return int(seed) if seed else None


def seed_settings(**more: Any) -> dict[str, Any]:
    """What a local server is told for that seed: requests fail, too; nothing without a seed."""
    seed = asked_seed()
    return {} if seed is None else {"seed": seed, "turbulence": True, **more}


def seed_options() -> dict[str, Any]:
    """What a saver is told for that seed: not to wait long before it sends again."""
    return {} if asked_seed() is None else {"retry_backoff": 0.001}


def may_provision() -> bool:
    """Whether tests may run provision.kql's commands on the live cluster."""
    return os.environ.get("KUSTO_TEST_CREATE") == "1"


def provision(place: Place, *, create: bool = True) -> None:
    """Create the tables, the view, the functions; without `create` only check them."""
    with KustoSaver(place.uri, place.database) as saver:
        saver.setup(create=create)


@contextmanager
def local_place(*, provisioned: bool = True, **settings: Any) -> Iterator[Place]:
    """Run a local server in a thread of its own; a seed that was asked for is its, too."""
    settings.setdefault("database", DATABASE)
    settings.setdefault("seed", asked_seed())
    turbulence = settings.pop("turbulence", False)
    with LocalKusto(**settings) as local:
        place = Place(local.url, local.database, local)
        if provisioned:
            provision(place)
        if turbulence:  # not while it is provisioned
            local.faults.add_turbulence()
        yield place


class ServerProcess:
    """A local server as a process of its own, over a file that outlives it."""

    def __init__(self, path: Path, *options: str) -> None:
        self._path = path
        self._options = options
        self._port = 0
        self._child: Child | None = None
        self.place = Place("", "")

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it listens."""
        command = [sys.executable, "-m", "langgraph.checkpoint.kusto.local"]
        command += ["--path", str(self._path), "--port", str(self._port), "--database", DATABASE]
        if (seed := asked_seed()) is not None and "--seed" not in self._options:
            command += ["--seed", str(seed)]
        command += self._options
        self._child = Child(command)
        found: dict[str, str] = {}
        while len(found) < 2:
            line = self._child.line()
            if line is None:
                raise RuntimeError(f"the local server did not start: {self._child.errors()}")
            name, _, value = line.partition("=")
            found[name] = value
        self.place = Place(found["KUSTO_CLUSTER_URI"], found["KUSTO_DATABASE"])
        self._port = int(self.place.uri.rpartition(":")[2])

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        assert self._child is not None
        self._child.close()

    def stop(self) -> None:
        """End it cleanly."""
        if self._child is not None:
            self._child.stop()
            self._child.close()


@contextmanager
def server_process(path: Path, *options: str, provisioned: bool = True) -> Iterator[ServerProcess]:
    """Run a local server as a process of its own."""
    server = ServerProcess(path, *options)
    server.start()
    try:
        if provisioned:
            provision(server.place)
        yield server
    finally:
        server.stop()


def command(place: Place, text: str) -> list[dict[str, Any]]:
    """Run a management command through Microsoft's SDK, past the library."""
    with _client(place) as client:
        return list(client.execute_mgmt(place.database, text).primary_results[0].to_dict()["data"])


def query(place: Place, text: str) -> list[dict[str, Any]]:
    """Run a query through Microsoft's SDK, past the library."""
    with _client(place) as client:
        answer = client.execute_query(place.database, text)
        return list(answer.primary_results[0].to_dict()["data"])


def _client(place: Place) -> KustoClient:
    return KustoClient(KustoConnectionStringBuilder.with_no_authentication(place.uri))

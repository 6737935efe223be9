"""The life cycle of a local server.

Lives here: starting, restarting and stopping, on the caller's event loop or in a thread of its own,
and the checks before anything listens. Does not live here: what exists while it runs (`running`),
endpoints (`app`), the command line (`__main__`).

Rules:
- the constructor touches nothing; entering opens the file and listens; leaving stops listening,
  finishes what was accepted, and closes the file;
- leaving twice is the same as leaving once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from .azurite import Azurite
from .cluster import Cluster, Settings
from .errors import LocalKustoError
from .faults import Faults
from .queued import QueuedIngestion
from .roles import checked_roles
from .running import Plan, Running
from .traffic import RequestLog

DEFAULT_DATABASE = "NetDefaultDB"


class LocalKusto:
    """A local server that speaks Kusto's REST protocol and keeps its data in one SQLite file.

    For development and tests. Use it as `async with LocalKusto(path) as local` on a running loop,
    or as `with LocalKusto(path) as local` from anywhere; then `local.url` and `local.database` are
    what a client connects to.

    Args:
        path: the file; None is a temporary one, removed at the end.
        port: the port; 0 is any free one.
        host: the address to listen on.
        database: the database that exists from the start.
        seed: what Kusto leaves open (row order, ties, the moment each statement sees) is decided
            by a random generator with this seed; None decides it always alike.
        turbulence: with a seed, let some requests fail transiently, ingests after writing any
            prefix of their rows, all of them included.
        visibility: with a seed, hide what a table took for up to so many seconds, differently for
            each table and view; else what is acknowledged is visible.
        streaming: whether streaming ingestion is enabled for the cluster.
        schema_cache: whether ingestion keeps using an old schema until the schema cache is cleared.
        roles: the roles of every caller; None is admin.
        token: the bearer token every request must carry; None needs none.
        allow_remote: listen on an address that other machines can reach, without authentication.
        azurite: the URL of the blob service of an Azurite, its queues and tables being on the two
            ports after that: queued ingestion goes through it, for one
            server at a time. None: there is none.
        queue_delay: seconds that queued rows wait before they are ingested, as Kusto's batching
            makes them.

    Attributes:
        faults: trouble on demand, see `Faults.add`.
        requests: what was sent, see `RequestLog`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        database: str = DEFAULT_DATABASE,
        seed: int | None = None,
        turbulence: bool = False,
        visibility: float = 0.0,
        streaming: bool = True,
        schema_cache: bool = False,
        roles: set[str] | frozenset[str] | None = None,
        token: str | None = None,
        allow_remote: bool = False,
        azurite: str | None = None,
        queue_delay: float = 0.0,
    ) -> None:
        if not database or not database.strip():
            raise LocalKustoError("the database needs a name")
        if not allow_remote and not _is_loopback(host):
            raise LocalKustoError(
                f"{host} is reachable from other machines and the local server does not "
                "authenticate; listen on 127.0.0.1, or say allow_remote=True (--allow-remote)"
            )
        if seed is None and (turbulence or visibility):
            raise LocalKustoError("turbulence and visibility are decided by a seed; give one")
        if not visibility >= 0:
            raise LocalKustoError(f"visibility is a number of seconds from 0, not {visibility}")
        if not queue_delay >= 0:
            raise LocalKustoError(f"queue_delay is a number of seconds from 0, not {queue_delay}")
        self.database = database
        self._turbulence = turbulence
        self.faults = Faults(seed)
        self.requests = RequestLog()
        self._path = None if path is None else Path(path).resolve()
        self._host = host
        self._port = port
        self._token = token
        self._expired_tokens = 0
        self._settings = Settings(
            database=database,
            seed=seed,
            visibility=visibility,
            streaming=streaming,
            schema_cache=schema_cache,
            roles=checked_roles(roles),
            azurite=None if azurite is None else Azurite.at(azurite),
        )
        self._queue_delay = queue_delay
        self._running: Running | None = None
        self._life = asyncio.Lock()
        self._thread: _ServerThread | None = None

    def __repr__(self) -> str:
        state = self.url if self._running else "stopped"
        return f"LocalKusto({state}, database={self.database!r}, path={self._path or 'temporary'})"

    @property
    def url(self) -> str:
        """The cluster URI; the server must be running."""
        return self._entered().url

    @property
    def queue(self) -> QueuedIngestion:
        """What takes queued messages; the server must be running, with `azurite`."""
        queue = self._entered().queue
        if queue is None:
            raise LocalKustoError("the local server has no queue; give it azurite=")
        return queue

    @property
    def token(self) -> str | None:
        """The bearer token that counts now; None when none is needed."""
        if self._token is None or not self._expired_tokens:
            return self._token
        return f"{self._token}-{self._expired_tokens}"

    @property
    def cluster(self) -> Cluster:
        """The databases behind the server, for tests that look behind HTTP."""
        return self._entered().cluster

    async def __aenter__(self) -> LocalKusto:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> LocalKusto:
        if self._running is not None:
            raise LocalKustoError("the local server is already running")
        self._thread = _ServerThread(self)
        self._thread.start_and_wait()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def start(self) -> None:
        """Open the file and listen.

        Raises:
            LocalKustoError: the server runs already, the file is in use or foreign, or the port is
                taken.
        """
        if self._running is not None:
            raise LocalKustoError("the local server is already running")
        self._life = asyncio.Lock()  # a lock belongs to the loop that first waits for it
        self._running = await Running.start(self._plan(), self._path)
        if self._turbulence:
            self.faults.add_turbulence()

    async def aclose(self) -> None:
        """Stop listening, finish what was accepted, close the file; again is harmless."""
        if self._running is None:
            return
        async with self._life:
            running, self._running = self._running, None
            if running is not None:
                self.faults.clear()
                await running.stop()

    def advance(self, days: float) -> int:
        """Set the server's clock forward and apply retention; return how many rows it dropped.

        Ingestion times, `now()` and the schema cache go by that clock. The next server on the file
        does not go back behind the newest row, but else its clock is right again.

        Raises:
            ValueError: the clock would go back.
            LocalKustoError: the server is not running.
        """
        return self.cluster.advance(days)

    def expire_token(self) -> str:
        """Answer 401 to the token that counted so far; return the one that counts from now on.

        Raises:
            LocalKustoError: the server needs no token.
        """
        if self._token is None:
            raise LocalKustoError("the local server needs no token; give it one with token=")
        self._expired_tokens += 1
        return f"{self._token}-{self._expired_tokens}"

    async def arestart(self) -> None:
        """Restart on the same port and file, as after a crash of the service.

        Connections are cut, requests under way get no answer, though what they wrote may stay.
        Meanwhile nobody listens. Faults, counters and the clock stay as they are; a stalled request
        is gone. If it cannot listen again, the server is stopped.

        Raises:
            LocalKustoError: the server is not running, or its port was taken meanwhile.
        """
        if self._entered().loop is not asyncio.get_running_loop():
            raise LocalKustoError("the local server runs on another event loop; use restart()")
        async with self._life:
            running = self._entered()
            try:
                self._running = await running.restarted(replace(self._plan(), port=running.port))
            except BaseException:
                self._running = None
                raise

    def restart(self) -> None:
        """Restart as `arestart` does, from another thread than that of the server's event loop.

        Raises:
            LocalKustoError: the server is not running or its port was taken meanwhile, or this is
                the thread of its event loop.
        """
        running = self._entered()
        if _running_loop() is running.loop:
            raise LocalKustoError("this is the server's own event loop; use `await arestart()`")
        asyncio.run_coroutine_threadsafe(self.arestart(), running.loop).result()

    def close(self) -> None:
        """Stop a server that was entered with `with`; again is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop_and_wait()

    def _entered(self) -> Running:
        if self._running is None:
            raise LocalKustoError("the local server is not running; enter it with `with`")
        return self._running

    def _plan(self) -> Plan:
        return Plan(
            host=self._host,
            port=self._port,
            settings=self._settings,
            faults=self.faults,
            requests=self.requests,
            token=lambda: self.token,
            queue_delay=self._queue_delay,
        )


class _ServerThread(threading.Thread):
    """A thread whose event loop runs a server, for `with`."""

    def __init__(self, local: LocalKusto) -> None:
        super().__init__(name="local-kusto", daemon=True)
        self._local = local
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def start_and_wait(self) -> None:
        """Start the server; raise what kept it from starting."""
        self.start()
        self._ready.wait()
        if self._failure is not None:
            self.join()
            raise self._failure

    def stop_and_wait(self) -> None:
        """Stop the server, wait for the end of the thread, raise what went wrong meanwhile."""
        if self._loop is not None and self._stopping is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self.join()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  (raised in the thread that waits)
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with self._local:
            self._ready.set()
            await self._stopping.wait()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

"""The life cycle of a local server.

Lives here: starting and stopping, on the caller's event loop or in a thread of its own, and the
checks before anything listens. Does not live here: endpoints (`app`), the command line
(`__main__`).

Rules:
- the constructor touches nothing; entering opens the file and listens; leaving stops listening,
  finishes what was accepted, and closes the file;
- leaving twice is the same as leaving once.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from aiohttp import web

from .app import RestApi
from .azurite import Azurite
from .cluster import Cluster, Settings
from .errors import LocalKustoError
from .faults import Faults
from .queued import QueuedIngestion
from .roles import checked_roles
from .storage import Storage
from .traffic import RequestLog

DEFAULT_DATABASE = "NetDefaultDB"
# More threads than processors only wait for one another, but a command waits for its commit in one.
WORKERS = 4
# Requests under way get this long to finish when the server stops.
SHUTDOWN_SECONDS = 5.0
# Clients may keep an idle connection; closing it under them looks like a network error.
KEEPALIVE_SECONDS = 3600.0


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
        self._running: _Running | None = None
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
        self._running = await _Running.start(self, self._settings, self._path)
        if self._turbulence:
            self.faults.add_turbulence()

    async def aclose(self) -> None:
        """Stop listening, finish what was accepted, close the file; again is harmless."""
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

    def close(self) -> None:
        """Stop a server that was entered with `with`; again is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop_and_wait()

    def _entered(self) -> _Running:
        if self._running is None:
            raise LocalKustoError("the local server is not running; enter it with `with`")
        return self._running

    async def _listen(self, runner: web.AppRunner) -> str:
        """Bind the port and return the URL."""
        site = web.TCPSite(runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LocalKustoError(
                    f"port {self._port} of {self._host} is in use; name another port, or 0 for any"
                ) from error
            raise LocalKustoError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}"
            ) from error
        host, port = runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Running:
    """What exists only while a server runs."""

    def __init__(
        self,
        url: str,
        cluster: Cluster,
        runner: web.AppRunner,
        executor: ThreadPoolExecutor,
        folder: Path | None,
        queue: QueuedIngestion | None,
    ) -> None:
        self.queue = queue
        self.url = url
        self.cluster = cluster
        self._runner = runner
        self._executor = executor
        self._folder = folder

    @classmethod
    async def start(cls, local: LocalKusto, settings: Settings, path: Path | None) -> _Running:
        folder: Path | None = None
        if path is None:
            folder = Path(tempfile.mkdtemp(prefix="local-kusto-"))
            path = folder / "kusto.db"
        cluster = Cluster(Storage(path), settings)
        executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="local-kusto")
        loop = asyncio.get_running_loop()
        opened = False
        queue: QueuedIngestion | None = None
        try:
            await loop.run_in_executor(executor, cluster.open)
            opened = True
            if settings.azurite is not None:
                queue = QueuedIngestion(settings.azurite, cluster, executor, local._queue_delay)
                await queue.start()
            api = RestApi(cluster, executor, local.faults, local.requests, local._token)
            # Bodies are unpacked in a worker thread and never beyond their limit: not by aiohttp.
            runner = web.AppRunner(
                api.application(),
                access_log=None,
                auto_decompress=False,
                keepalive_timeout=KEEPALIVE_SECONDS,
                shutdown_timeout=SHUTDOWN_SECONDS,
            )
            await runner.setup()
            try:
                url = await local._listen(runner)
            except BaseException:
                await runner.cleanup()
                raise
        except BaseException:
            if queue is not None:
                await queue.stop()
            if opened:
                await loop.run_in_executor(executor, cluster.close)
            executor.shutdown(wait=False)
            _remove(folder)
            raise
        return cls(url, cluster, runner, executor, folder, queue)

    async def stop(self) -> None:
        await self._runner.cleanup()
        if self.queue is not None:
            await self.queue.stop()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._finish)

    def _finish(self) -> None:
        self._executor.shutdown(wait=True)
        self.cluster.close()
        _remove(self._folder)


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


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)

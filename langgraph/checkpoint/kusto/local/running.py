"""What exists only while a local server runs: the open file, worker threads, the listening socket.

Lives here: opening all of it, closing it, and cutting every connection for a restart. Does not live
here: who may start a server and where (`server`), endpoints (`app`).
"""

from __future__ import annotations

import asyncio
import errno
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from .app import RestApi
from .clock import ServerClock
from .cluster import Cluster, Settings
from .errors import LocalKustoError
from .faults import Faults
from .queued import QueuedIngestion
from .storage import Storage
from .traffic import RequestLog

# More threads than processors only wait for one another, but a command waits for its commit in one.
WORKERS = 4
# Requests under way get this long to finish when the server stops.
SHUTDOWN_SECONDS = 5.0
# aiohttp takes 0 for no bound.
AT_ONCE_SECONDS = 0.001
# Turns of the event loop from accepting a connection to having made it, and one to spare.
_ACCEPT_TURNS = 3
# Connections that may wait to be accepted, when many clients come at once.
BACKLOG = 128
# Clients may keep an idle connection; closing it under them looks like a network error.
KEEPALIVE_SECONDS = 3600.0


@dataclass(frozen=True)
class Plan:
    """What a server is to be."""

    host: str
    port: int
    settings: Settings
    faults: Faults
    requests: RequestLog
    token: Callable[[], str | None]
    queue_delay: float = 0.0


class Running:
    """A server that listens; `loop` is the event loop it does so on."""

    def __init__(
        self,
        url: str,
        port: int,
        cluster: Cluster,
        runner: web.AppRunner,
        listener: asyncio.Server,
        executor: ThreadPoolExecutor,
        folder: Path | None,
        queue: QueuedIngestion | None,
    ) -> None:
        self.url = url
        self.port = port
        self.cluster = cluster
        self.queue = queue
        self.loop = asyncio.get_running_loop()
        self._runner = runner
        self._listener = listener
        self._executor = executor
        self._folder = folder

    @classmethod
    async def start(cls, plan: Plan, path: Path | None) -> Running:
        """Open the file, a temporary one for None, and listen.

        Raises:
            LocalKustoError: the file is in use or foreign, or the port is taken.
        """
        folder: Path | None = None
        if path is None:
            folder = Path(tempfile.mkdtemp(prefix="local-kusto-"))
            path = folder / "kusto.db"
        return await cls._open(plan, path, folder, ServerClock())

    @classmethod
    async def _open(
        cls, plan: Plan, path: Path, folder: Path | None, clock: ServerClock
    ) -> Running:
        cluster = Cluster(Storage(path), plan.settings, clock)
        executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="local-kusto")
        loop = asyncio.get_running_loop()
        opened = False
        queue: QueuedIngestion | None = None
        try:
            await loop.run_in_executor(executor, cluster.open)
            opened = True
            if plan.settings.azurite is not None:
                queue = QueuedIngestion(plan.settings.azurite, cluster, executor, plan.queue_delay)
                await queue.start()
            runner = await _runner(
                RestApi(cluster, executor, plan.faults, plan.requests, plan.token)
            )
            try:
                listener = await _listen(plan, runner)
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
        url, port = _address(listener)
        return cls(url, port, cluster, runner, listener, executor, folder, queue)

    async def stop(self) -> None:
        """Stop listening, finish what was accepted, close the file."""
        await self._stop_listening()
        await self._runner.cleanup()
        await self._stop_queue()
        await self.loop.run_in_executor(None, self._finish)
        _remove(self._folder)

    async def restarted(self, plan: Plan) -> Running:
        """Cut every connection, close the file, and start anew on it.

        Raises:
            LocalKustoError: the port is taken; then nothing runs any more.
        """
        await self._stop_listening()
        if self._runner.server is not None:
            # Cancels the handlers: a request of theirs is carried out, and never answered.
            await self._runner.server.shutdown(AT_ONCE_SECONDS)
        await self._runner.cleanup()
        await self._stop_queue()
        await self.loop.run_in_executor(None, self._finish)
        path, clock = self.cluster.storage.path, self.cluster.clock
        return await Running._open(plan, path, self._folder, clock)

    async def _stop_listening(self) -> None:
        """Accept nothing more, let what was accepted become connections, close the sockets.

        asyncio loses a connection whose socket is closed before it is made, and aiohttp one that is
        made while it closes the others: that one would be served for ever, without a file.
        """
        for listening in self._listener.sockets:
            with suppress(NotImplementedError):  # Windows' event loop has no readers
                self.loop.remove_reader(listening.fileno())
        try:
            for _ in range(_ACCEPT_TURNS):
                await asyncio.sleep(0)
        finally:  # also for whoever cancels it
            self._listener.close()

    async def _stop_queue(self) -> None:
        if self.queue is not None:
            await self.queue.stop()

    def _finish(self) -> None:
        self._executor.shutdown(wait=True)
        self.cluster.close()


async def _runner(api: RestApi) -> web.AppRunner:
    # Bodies are unpacked in a worker thread and never beyond their limit: not by aiohttp.
    runner = web.AppRunner(
        api.application(),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    return runner


async def _listen(plan: Plan, runner: web.AppRunner) -> asyncio.Server:
    """Bind the port."""
    loop = asyncio.get_running_loop()
    assert runner.server is not None  # set up by `_runner`
    try:
        return await loop.create_server(runner.server, plan.host, plan.port, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalKustoError(
                f"port {plan.port} of {plan.host} is in use; name another port, or 0 for any"
            ) from error
        raise LocalKustoError(
            f"cannot listen on {plan.host}:{plan.port}: {error.strerror or error}"
        ) from error


def _address(listener: asyncio.Server) -> tuple[str, int]:
    """The URL and the port."""
    host, port = listener.sockets[0].getsockname()[:2]
    return (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"), port


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)

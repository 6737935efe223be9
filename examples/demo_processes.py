"""Child processes of the demo: the local server and the agent, started, killed, cleaned up.

Nothing here knows what the demo checks.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[1]
DATABASE = "Demo"
START_SECONDS = 30


class DemoFailed(Exception):
    """Something the demo promises did not hold."""


living: set[Child] = set()
"""Children that were not seen to end."""


def end_all() -> None:
    """Kill whatever still runs."""
    for child in list(living):
        child.end()


class Child:
    """A process of its own whose output is shown line by line, and which never outlives the demo.

    Args:
        label: What its lines are shown with; empty for not at all.
        arguments: Arguments of the Python interpreter.
        environment: Variables besides those of the demo.
    """

    def __init__(self, label: str, arguments: list[str], environment: dict[str, str]) -> None:
        self._label = label
        self._arguments = arguments
        self.lines: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,  # nobody is there to be asked
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        living.add(self)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.put(line.rstrip("\n"))
            if self._label:
                print(f"   {self._label} | {line}", end="", flush=True)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> int:
        """Send SIGKILL, which no process can catch; return how the process ended."""
        self._process.send_signal(signal.SIGKILL)
        return self.wait(10)

    def stop(self) -> int:
        """Send SIGTERM; return how the process ended."""
        self._process.terminate()
        return self.wait(10)

    def wait(self, timeout: float) -> int:
        """Wait for the end and for the last line of output; return the exit code."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DemoFailed(
                f"process {self.pid} did not end within {timeout:.0f} s: {self._arguments}"
            ) from None
        self._reader.join(5)
        living.discard(self)
        return code

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.running:
            self._process.kill()
            self._process.wait(10)
        living.discard(self)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


class LocalServer:
    """The local Kusto, as a process of its own on one file and one port.

    Args:
        file: Where it keeps its data.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._port = "0"
        self._child: Child | None = None
        self.url = ""

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to find it."""
        return {"KUSTO_CLUSTER_URI": self.url, "KUSTO_DATABASE": DATABASE}

    def start(self) -> int:
        """Start it, after the first time on the same port; return its process id."""
        arguments = ["-m", "langgraph.checkpoint.kusto.local", "--path", str(self._file)]
        arguments += ["--port", self._port, "--database", DATABASE]
        self._child = Child("", arguments, {})
        seen: list[str] = []
        deadline = time.monotonic() + START_SECONDS
        while not any(line.startswith("KUSTO_DATABASE=") for line in seen):
            try:
                seen.append(self._child.lines.get(timeout=0.1))
            except queue.Empty:
                ended = not self._child.running and self._child.lines.empty()
                if ended or time.monotonic() > deadline:
                    raise DemoFailed(
                        "the local server did not start:\n" + "\n".join(seen)
                    ) from None
        found = [line.partition("=")[2] for line in seen if line.startswith("KUSTO_CLUSTER_URI=")]
        self.url = found[0]
        self._port = self.url.rpartition(":")[2]
        return self._child.pid

    def kill(self) -> int:
        """Send SIGKILL; return how the process ended."""
        assert self._child is not None
        return self._child.kill()

    def stop(self) -> int:
        """Stop it in order; return its exit code."""
        assert self._child is not None
        return self._child.stop()

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()

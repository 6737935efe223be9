"""Processes a test starts, listens to and kills."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


class Child:
    """A process whose lines are read as they come."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bool = False,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._patience = patience
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=child_environment(env),
            cwd=ROOT,
        )
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def line(self) -> str | None:
        """Wait for the next line; None is the end."""
        if self._ended:
            return None
        line = self._lines.get(timeout=self._patience)
        self._ended = line is None
        return line

    def rest(self) -> list[str]:
        """Wait for the end and give the lines not read yet."""
        found: list[str] = []
        while (line := self.line()) is not None:
            found.append(line)
        return found

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self._process.kill()
        self.wait()

    def stop(self) -> None:
        """End it cleanly, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
        self.wait()

    def wait(self) -> int:
        """Wait for the end and give the exit code."""
        code = self._process.wait(timeout=self._patience)
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        return code

    def errors(self) -> str:
        """What it wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def close(self) -> None:
        """Kill it if need be, and forget its output."""
        self.kill()
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: it finds this tree, and no cluster unless `extra` names one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUSTO_")}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ours = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return {**kept, **ours, **(extra or {})}

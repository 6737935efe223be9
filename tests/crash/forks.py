"""A warm process that forks a child for each order, and kills it when it is told to.

Starting Python and importing everything takes longer than a round of the campaign. Lives here: the
protocol of such a process, on both sides. Does not live here: what the children do (`writer`,
`servers`).

An order is a line of JSON. It says `ready` when it may be given orders, `forked PID` after each
order, `killed` after `kill`, and `ended STATUS` instead when the child had ended by itself.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from shared.processes import ROOT, Child, child_environment

Order = Mapping[str, Any]


def serve(body: Callable[[Order], None]) -> None:
    """Fork a child for each order; it runs `body` and ends."""
    child = 0
    gc.collect()
    gc.freeze()  # so that collecting garbage in a child copies no memory
    _say("ready")
    for line in sys.stdin:
        if line.strip() != "kill":
            child = os.fork()
            if child == 0:
                _run(body, json.loads(line))
            _say(f"forked {child}")
        elif not child:  # 0 would be the whole process group
            _say("ended: there is no child")
        else:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            child = 0
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            _say("killed" if killed else f"ended {status}")
    if child:  # whoever gave the orders is gone
        os.kill(child, signal.SIGKILL)


def _run(body: Callable[[Order], None], order: Order) -> None:
    status = 1
    try:
        body(order)
        status = 0
    except BaseException:  # noqa: BLE001 - it is shown, and the parent hears of the status
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


class Forks:
    """The other side: gives orders to such a process."""

    def __init__(self, module: str, *arguments: str) -> None:
        paths = f"{ROOT / 'tests'}{os.pathsep}{child_environment()['PYTHONPATH']}"
        command = [sys.executable, "-m", module, *arguments]
        self._child = Child(command, env={"PYTHONPATH": paths}, stdin=True)
        self._busy = False
        self.wait_for("ready")

    def start(self, order: Order) -> None:
        """Fork a child."""
        self._busy = True
        self._child.say(json.dumps(order))
        self.wait_for("forked")

    def kill(self) -> None:
        """Send SIGKILL to the child and wait for its end.

        Raises:
            RuntimeError: it had ended by itself.
        """
        self._busy = False
        self._child.say("kill")
        self.wait_for("killed")

    def wait_for(self, word: str) -> str:
        """Wait for a line that begins with a word."""
        while True:
            line = self._child.line()
            if line is None or line.startswith("ended"):
                raise RuntimeError(f"a child ended by itself ({line}): {self.errors()}")
            if line.startswith(word):
                return line

    def errors(self) -> str:
        """What it and its children wrote to standard error."""
        return self._child.errors()

    def close(self) -> None:
        """End the process and its child."""
        if self._busy:
            with suppress(RuntimeError):  # it had ended by itself
                self.kill()
        self._child.close()

"""Trouble on demand.

Lives here: which requests meet which fault, and how often. Does not live here: the kinds of faults
(`fault_kinds`), the command line's wording (`fault_specs`), making them happen (`exchange`, `app`).

Every fault matches requests by endpoint and table, for a number of requests and with a probability;
matching uses the server's seed, so that a run can be repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import errors
from .errors import ServiceError
from .fault_kinds import KINDS, check, drawn_seconds, error_of

# More requests than are in flight at a time.
REMEMBERED = 1024
# The management commands that some faults are for.
_COMMANDS = {
    "script": re.compile(r"\s*\.execute\s+database\s+script\b"),
    "prefix": re.compile(r"\s*\.ingest\s+inline\b"),
    "duplicate": re.compile(r"\s*\.ingest\s+inline\b"),
}


@dataclass(eq=False, kw_only=True)
class Fault:
    """One kind of trouble; `Faults.add` makes it.

    Attributes:
        hits: how many requests it has met.
    """

    action: str
    endpoint: str | None
    table: str | None
    left: int | None
    probability: float
    spare_repeats: bool
    when: str
    status: int | None
    seconds: float
    distribution: str
    rows: int | None
    answer: str
    place: str | None
    commands: int
    permanent: bool | None
    retry_after: float | None
    chance: random.Random
    hits: int = 0
    _met: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _released: bool = False
    _struck: deque[bytes] = field(default_factory=partial(deque, maxlen=REMEMBERED))
    _waiters: list[Callable[[], object]] = field(default_factory=list)

    def matches(self, endpoint: str, table: str, text: str) -> bool:
        """Tell whether a request is of the kind the fault is for."""
        if endpoint not in KINDS[self.action].endpoints or self.endpoint not in (None, endpoint):
            return False
        command = _COMMANDS.get(self.action)
        if endpoint == "mgmt" and command is not None and not command.match(text):
            return False
        # What is hidden, is hidden from every query: a function may read it unnamed.
        if self.action == "hide" or self.table in (None, table):
            return True
        # A query or command names its tables in its text.
        return bool(text and re.search(rf"\b{re.escape(self.table or '')}\b", text))

    def wait_hit(self, timeout: float) -> bool:
        """Wait, in another thread than the server's loop, until a request has met the fault."""
        return self._met.wait(timeout)

    def release(self) -> None:
        """Let the requests go on that a stall holds, and no longer hold any."""
        with self._lock:
            self._released = True
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()

    async def stalled(self) -> None:
        """Wait until the fault is released."""
        loop = asyncio.get_running_loop()
        released = asyncio.Event()
        with self._lock:
            if self._released:
                return
            self._waiters.append(partial(loop.call_soon_threadsafe, released.set))
        await released.wait()

    def error(self, path: str) -> ServiceError:
        """Return the error the fault answers with."""
        if self.status is None and self.action == "partial":
            found = errors.limits_exceeded("an injected fault")
        else:
            found = error_of(self.status or 503, path)
        if self.permanent is not None:
            found.permanent = self.permanent
        found.retry_after = self.retry_after
        return found

    def delay(self) -> float:
        """Return how long the next request of a `latency` fault waits."""
        return drawn_seconds(self.chance, self.distribution, self.seconds)

    def cut_at(self, size: int) -> int:
        """Return how many bytes of an answer a `cut` fault lets through."""
        return self.chance.randrange(size) if size else 0

    def script_error(self, index: int, path: str) -> ServiceError | None:
        """Return how the command at a place of a script fails under a `script` fault."""
        return self.error(path) if index == self.commands else None

    def prefix_of(self, rows: int) -> int:
        """Return how many of a request's rows a `prefix` fault writes."""
        return self.chance.randint(0, rows) if self.rows is None else min(rows, self.rows)

    def strikes(self, identity: bytes) -> bool:
        """Decide whether a matching request meets the fault."""
        if self.probability < 1.0 and self.chance.random() >= self.probability:
            return False
        if not self.spare_repeats:
            return True
        if identity in self._struck:
            return False
        self._struck.append(identity)
        return True

    def met(self) -> None:
        """Count a request that meets the fault."""
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        self._met.set()


class Faults:
    """The faults of one server; safe to use from other threads than the server's."""

    def __init__(self, seed: int | None) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._random = random.Random(seed)

    def __repr__(self) -> str:
        return f"Faults({[fault.action for fault in self._faults]})"

    def add(
        self,
        action: str,
        *,
        endpoint: str | None = None,
        table: str | None = None,
        times: int | None = 1,
        probability: float = 1.0,
        spare_repeats: bool = False,
        when: str = "before",
        status: int | None = None,
        seconds: float = 0.0,
        distribution: str = "fixed",
        rows: int | None = 1,
        answer: str = "error",
        place: str | None = None,
        commands: int = 0,
        permanent: bool | None = None,
        retry_after: float | None = None,
    ) -> Fault:
        """Add a fault and return it.

        Args:
            action: `status` (answer an error), `latency` (wait), `stall` (hold the request until
                `Fault.release`), `reset` (cut the connection without an answer), `cut` (cut it in
                the middle of the answer's body), `prefix` (ingest only the first `rows`),
                `duplicate` (ingest all rows twice, acknowledge them once), `partial` (answer 200
                with an error inside), `script` (fail in `.execute database script` after some
                commands), `disk_full` (SQLite cannot write), `hide` (queries do not see what a
                table or view took in the last `seconds`).
            endpoint: `query`, `mgmt`, `ingest`, or None for all that the action is for.
            table: only requests for this table; a query or command counts when it names the table.
                Of `hide`: the table, or the view, whose rows no query sees under that name.
            times: for how many requests; None is for ever.
            probability: how likely a matching request meets the fault.
            spare_repeats: let a request pass that met the fault before, so that whoever sends it
                again is served.
            when: `before` the request is carried out, or `after` it: what was written stays.
            status: the HTTP status of `status` and `prefix` (503), the kind of error of `script`
                (503) and `partial` (a result over its limit).
            seconds: of `latency` and `hide`.
            distribution: of `latency`: always `fixed`, `uniform` up to `seconds`, `exponential`
                with that mean, or `pareto` with that least and a long tail; by the seed.
            rows: of `prefix`; None is any number up to all, by the seed.
            answer: of `prefix`: an `error`, `lost` (the connection is cut), or `ok`, which is what
                Kusto must not do: a checker has to notice it.
            place: of `partial`, where the error stands, and nowhere else: an object among the
                `rows`, a `status` row of the completion table, or the `completion` frame; None is
                as the request asks. A v1 answer has two: among the `rows`, or at the top.
            commands: of `script`: how many of its commands run before one fails.
            permanent: the error's `@permanent`, where not the status' own.
            retry_after: seconds for the header `Retry-After`.

        Raises:
            ValueError: an argument is not one of those named, or the action does not take it.
        """
        settings: dict[str, Any] = {
            "endpoint": endpoint,
            "table": table,
            "probability": probability,
            "spare_repeats": spare_repeats,
            "when": when,
            "status": status,
            "seconds": seconds,
            "distribution": distribution,
            "rows": rows,
            "answer": answer,
            "place": place,
            "commands": commands,
            "permanent": permanent,
            "retry_after": retry_after,
        }
        check(action, {**settings, "times": times})
        chance = random.Random(self._random.getrandbits(64))
        fault = Fault(action=action, left=times, chance=chance, **settings)
        with self._lock:
            self._faults.append(fault)
        return fault

    def add_turbulence(self) -> None:
        """Add what a busy cluster does: now and then a request fails, and may be sent again."""
        add = partial(self.add, times=None, spare_repeats=True)
        add("prefix", endpoint="ingest", probability=0.1, rows=None)
        add("reset", endpoint="ingest", probability=0.02, when="after")
        add("status", endpoint="query", probability=0.03)
        add("prefix", endpoint="mgmt", probability=0.1, rows=None)

    def clear(self) -> None:
        """Remove all faults and release what they hold."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    def take(self, endpoint: str, table: str, text: str, body: bytes = b"") -> list[Fault]:
        """Return the faults a request meets, in the order they were added."""
        with self._lock:
            if not self._faults:
                return []
            identity = hashlib.sha256(f"{endpoint}/{table}/".encode() + body).digest()
            # A spent stall stays listed until cleared: it may still hold a request.
            self._faults = [
                f for f in self._faults if f.action == "stall" or f.left is None or f.left > 0
            ]
            met = [
                fault
                for fault in self._faults
                if (fault.left is None or fault.left > 0)
                and fault.matches(endpoint, table, text)
                and fault.strikes(identity)
            ]
            for fault in met:
                fault.met()
            return met

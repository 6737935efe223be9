"""Trouble on demand.

Lives here: what can go wrong, for which requests, how often. Does not live here: making it happen
in HTTP (`app`).

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

from . import errors
from .errors import ServiceError

ENDPOINTS = ("query", "mgmt", "ingest")
ACTIONS = ("status", "latency", "stall", "reset", "prefix", "partial")
STATUSES = (400, 401, 403, 404, 413, 429, 500, 503, 504, 520)
# More requests than are in flight at a time.
REMEMBERED = 1024


@dataclass(eq=False)
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
    when: str
    status: int
    seconds: float
    rows: int | None
    permanent: bool | None
    spare_repeats: bool = False
    chance: random.Random = field(default_factory=random.Random)
    hits: int = 0
    _met: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _released: bool = False
    _struck: deque[bytes] = field(default_factory=partial(deque, maxlen=REMEMBERED))
    _waiters: list[Callable[[], object]] = field(default_factory=list)

    def matches(self, endpoint: str, table: str, text: str) -> bool:
        """Tell whether a request is of the kind the fault is for."""
        if self.endpoint not in (None, endpoint):
            return False
        if self.table in (None, table):
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
        """Return the error of a `status` or `prefix` fault."""
        found = _error(self.status, path)
        if self.permanent is not None:
            found.permanent = self.permanent
        return found

    def prefix_of(self, rows: int) -> int:
        """Return how many of a body's rows a `prefix` fault writes."""
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
        when: str = "before",
        status: int = 503,
        seconds: float = 0.0,
        rows: int | None = 1,
        permanent: bool | None = None,
        spare_repeats: bool = False,
    ) -> Fault:
        """Add a fault and return it.

        Args:
            action: `status` (answer an error), `latency` (wait `seconds`), `stall` (hold the
                request until `Fault.release`), `reset` (cut the connection), `prefix` (ingest only
                the first `rows`, then answer an error), `partial` (answer 200 with an error among
                the rows).
            endpoint: `query`, `mgmt`, `ingest`, or None for all.
            table: only requests for this table; a query or command counts when it names the table.
            times: for how many requests; None is for ever.
            probability: how likely a matching request meets the fault.
            when: `before` the request is carried out, or `after` it: what was written stays.
            status: the HTTP status of `status` and `prefix`.
            seconds: of `latency`.
            rows: of `prefix`; None is any number up to all, by the seed.
            permanent: the error's `@permanent`, where not the status' own.
            spare_repeats: let a request pass that met the fault before, so that whoever sends it
                again is served.

        Raises:
            ValueError: an argument is not one of those named.
        """
        _check(action, status, when, endpoint)
        chance = random.Random(self._random.getrandbits(64))
        fault = Fault(
            action=action,
            endpoint=endpoint,
            table=table,
            left=times,
            probability=probability,
            when=when,
            status=status,
            seconds=seconds,
            rows=rows,
            permanent=permanent,
            spare_repeats=spare_repeats,
            chance=chance,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def add_turbulence(self) -> None:
        """Add what a busy cluster does: now and then a request fails, and may be sent again."""
        add = partial(self.add, times=None, spare_repeats=True)
        add("prefix", endpoint="ingest", probability=0.1, rows=None)
        add("reset", endpoint="ingest", probability=0.02, when="after")
        add("status", endpoint="query", probability=0.03)

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


def _check(action: str, status: int, when: str, endpoint: str | None) -> None:
    if action not in ACTIONS or status not in STATUSES or when not in ("before", "after"):
        raise ValueError(
            f"a fault is one of {ACTIONS}, its status one of {STATUSES}, "
            "and it happens 'before' or 'after'"
        )
    if endpoint is not None and endpoint not in ENDPOINTS:
        raise ValueError(f"the endpoints are {ENDPOINTS}")


def _error(status: int, path: str) -> ServiceError:
    made: Callable[[], ServiceError] | None = {
        400: lambda: errors.bad_request("An injected fault."),
        401: errors.unauthorized,
        403: lambda: errors.forbidden("injected fault", "Database Admin"),
        404: lambda: errors.not_found(path),
        413: lambda: errors.streaming_too_large("local", "fault", 0, 0),
        504: lambda: errors.timed_out(0),
        520: lambda: errors.internal("An injected fault."),
    }.get(status)
    if made is not None:
        return made()
    code, type_, message = {
        429: (
            "TooManyRequests",
            "KustoRequestThrottledException",
            "The request was aborted due to throttling. Retrying after some backoff might succeed.",
        ),
        503: (
            "ServiceUnavailable",
            "KustoServiceException",
            "The service is temporarily unavailable.",
        ),
    }.get(
        status,
        ("General_InternalServerError", "KustoServiceException", "Internal service error."),
    )
    return ServiceError(
        status, code, errors.DATA_EXCEPTIONS + type_, message, message=message, permanent=False
    )

"""What the server did, for `.show operations`, `.show commands` and `.show queries`.

Lives here: bounded, in-memory records. Does not live here: counters for tests (`traffic`).
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from dataclasses import dataclass, field, replace

KEPT = 1000
KEPT_CHARACTERS = 10_000


@dataclass(frozen=True)
class Operation:
    """A management operation that was given an id."""

    kind: str
    database: str
    started: int
    finished: int
    state: str
    status: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Executed:
    """A query or a command that ran, `kind` being empty for a query."""

    kind: str
    text: str
    database: str
    started: int
    finished: int
    state: str
    reason: str
    client_request_id: str
    activity_id: str


class Operations:
    """The newest operations, commands and queries; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: deque[Operation] = deque(maxlen=KEPT)
        self._executed: deque[Executed] = deque(maxlen=KEPT)

    def add(self, operation: Operation) -> Operation:
        """Keep an operation and return it."""
        with self._lock:
            self._operations.append(operation)
        return operation

    def note(self, executed: Executed) -> None:
        """Keep a query or command that ran."""
        with self._lock:
            self._executed.append(replace(executed, text=executed.text[:KEPT_CHARACTERS]))

    def all(self) -> list[Operation]:
        """Return the operations, newest first."""
        with self._lock:
            return list(reversed(self._operations))

    def executed(self) -> list[Executed]:
        """Return what ran, newest first."""
        with self._lock:
            return list(reversed(self._executed))

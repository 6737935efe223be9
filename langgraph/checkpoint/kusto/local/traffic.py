"""What requests the local server was sent.

Lives here: counters and the newest records, for tests that count requests. Does not live here: what
Kusto itself would show (`operations`).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

KEPT = 10_000
# A command may carry megabytes of rows; ten thousand of them must not fill the memory.
KEPT_CHARACTERS = 2_000


@dataclass(frozen=True)
class RequestRecord:
    """One answered request, `text` being the beginning of its query or command.

    `wire_bytes` is the body as sent, `body_bytes` the body unpacked, `rows` the rows ingested or
    returned, `answer_bytes` the body of the answer. `status` is 0 when a fault cut the connection.
    """

    endpoint: str  # query, mgmt, ingest
    database: str
    table: str
    status: int
    wire_bytes: int
    body_bytes: int
    rows: int
    text: str = ""
    answer_bytes: int = 0


class RequestLog:
    """Totals of all requests and the newest ten thousand of them; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[tuple[str, str, int], list[int]] = {}
        self._records: deque[RequestRecord] = deque(maxlen=KEPT)

    def __repr__(self) -> str:
        return (
            f"RequestLog(query={self.count('query')}, mgmt={self.count('mgmt')}, "
            f"ingest={self.count('ingest')})"
        )

    def add(self, record: RequestRecord) -> None:
        """Keep a request."""
        key = (record.endpoint, record.table, record.status)
        with self._lock:
            total = self._totals.setdefault(key, [0, 0, 0, 0, 0])
            counted = (1, record.wire_bytes, record.body_bytes, record.rows, record.answer_bytes)
            for index, value in enumerate(counted):
                total[index] += value
            self._records.append(replace(record, text=record.text[:KEPT_CHARACTERS]))

    def count(
        self, endpoint: str | None = None, table: str | None = None, status: int | None = None
    ) -> int:
        """Return how many requests there were to an endpoint, for a table, with a status."""
        return self._sum(0, endpoint, table, status)

    def wire_bytes(self, endpoint: str | None = None, table: str | None = None) -> int:
        """Return the bytes of their bodies as sent."""
        return self._sum(1, endpoint, table, None)

    def body_bytes(self, endpoint: str | None = None, table: str | None = None) -> int:
        """Return the bytes of their bodies unpacked."""
        return self._sum(2, endpoint, table, None)

    def rows(self, endpoint: str | None = None, table: str | None = None) -> int:
        """Return the rows they ingested or were answered."""
        return self._sum(3, endpoint, table, None)

    def answer_bytes(self, endpoint: str | None = None, table: str | None = None) -> int:
        """Return the bytes of the bodies they were answered with."""
        return self._sum(4, endpoint, table, None)

    def records(self) -> list[RequestRecord]:
        """Return the newest requests, oldest first."""
        with self._lock:
            return list(self._records)

    def reset(self) -> None:
        """Forget everything counted so far."""
        with self._lock:
            self._totals.clear()
            self._records.clear()

    def _sum(self, index: int, endpoint: str | None, table: str | None, status: int | None) -> int:
        with self._lock:
            return sum(
                total[index]
                for (of_endpoint, of_table, of_status), total in self._totals.items()
                if endpoint in (None, of_endpoint)
                and table in (None, of_table)
                and status in (None, of_status)
            )

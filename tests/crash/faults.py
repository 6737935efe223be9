"""The faults of the campaign: what they are, and which of them a server has.

Lives here: names, the local server's `--fault` texts, and drawing some of them. Does not live here:
what they do (docs/local-server.md) and counting which of them struck (`servers`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

Faults = Sequence[tuple[str, str]]
"""(name, text of `--fault`)."""

REQUESTS: dict[str, str] = {
    "throttled": "status:429,endpoint=ingest,probability=0.04,retry_after=0.05",
    "unavailable": "status:503,endpoint=ingest,probability=0.04",
    "failed after it was done": "status:520,endpoint=ingest,probability=0.03,when=after",
    "timed out at the server": "status:504,endpoint=ingest,probability=0.02,when=after",
    "too large, they say": "status:413,endpoint=ingest,probability=0.004",
    "refused for good": "status:403,endpoint=ingest,probability=0.008",
    "slow ingestion": "latency:0.02,distribution=exponential,endpoint=ingest,probability=0.3",
    "late answer": "latency:0.05,distribution=pareto,endpoint=ingest,probability=0.1,when=after",
    "stalled before": "stall,endpoint=ingest,probability=0.003",
    "stalled after": "stall,endpoint=ingest,probability=0.003,when=after",
    "reset before": "reset:before,endpoint=ingest,probability=0.03",
    "reset after": "reset:after,endpoint=ingest,probability=0.03",
    "answer cut": "cut,endpoint=ingest,probability=0.03",
    "prefix, error": "prefix:none,endpoint=ingest,probability=0.05",
    "prefix, no answer": "prefix:none,endpoint=ingest,probability=0.04,answer=lost",
    "duplicated": "duplicate,endpoint=ingest,probability=0.05",
    "disk full": "disk_full,endpoint=ingest,probability=0.03",
    "query throttled": "status:429,endpoint=query,probability=0.04,retry_after=0.05",
    "query unavailable": "status:503,endpoint=query,probability=0.04",
    "query reset": "reset:before,endpoint=query,probability=0.03",
    "query answer cut": "cut,endpoint=query,probability=0.03",
    "error among the rows": "partial:rows,endpoint=query,probability=0.03,status=503",
    "error in the status": "partial:status,endpoint=query,probability=0.03,status=503",
    "error in the completion": "partial:completion,endpoint=query,probability=0.03,status=503",
    "slow queries": "latency:0.02,distribution=pareto,endpoint=query,probability=0.2",
}
# Each of these lasts as long as the database: Kusto takes nothing back that it has shown.
HIDDEN: dict[str, str] = {
    "checkpoints hidden": "hide:0.4,table=Checkpoints",
    "blobs hidden": "hide:0.4,table=CheckpointBlobs",
    "writes hidden": "hide:0.4,table=CheckpointWrites",
    "tombstones hidden": "hide:0.4,table=CheckpointTombstones",
    "view hidden": "hide:0.4,table=LatestCheckpoints",
}
KINDS: dict[str, str] = REQUESTS | HIDDEN
AT_A_TIME = 8


class Deck:
    """Draws faults, so that all come up before one comes up again."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left: dict[str, list[str]] = {"requests": [], "hidden": []}

    def of_server(self) -> Faults:
        """The faults of requests that one server has."""
        return self._drawn("requests", REQUESTS, AT_A_TIME)

    def of_database(self) -> Faults:
        """What all servers of one database hide for a while."""
        return self._drawn("hidden", HIDDEN, self._rng.randrange(3))

    def _drawn(self, what: str, kinds: dict[str, str], number: int) -> Faults:
        left, chosen = self._left[what], list[str]()
        while len(chosen) < number:
            if not left:
                left += self._rng.sample([*kinds], len(kinds))
            if left[-1] not in chosen:
                chosen.append(left[-1])
            left.pop()
        return [(name, kinds[name]) for name in chosen]

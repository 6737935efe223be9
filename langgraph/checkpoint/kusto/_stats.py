"""Counters of one saver. Increments only; no logging, no export."""

from __future__ import annotations


class Stats:
    """Counters, by documented name.

    `puts`, `put_writes`, `get_tuples`, `lists`, `deletes`, `copies`, `prunes`, `histories`: calls
    that returned.
    `errors`: calls that raised, except for a config without a usable thread id.
    `ingest_requests`, `ingest_rows`, `ingest_bytes` (uncompressed), `queries`: what was sent.
    `shared_queries`, `shared_reads`: those of them that read several threads, and the reads that
    were answered by them.
    `retries`, `throttled`: attempts after the first; those because of 429.
    `incomplete_reads`: reads repeated because parts of a checkpoint were not visible yet.
    `dead_puts`: puts into a thread, or of a run, that had been deleted; they stay dead.
    `broken_histories`: newest checkpoints whose delta channels lost an ancestor to a delete.
    `forks`: forks nobody made on purpose that a list went by.
    `skipped_incomplete`: checkpoints a list left out because parts of them were missing.
    `blobs_stored`, `blobs_reused`: large values written, and referred to because unchanged.
    `frames_stored`: large values stored as what changed since an earlier one.
    `renewals`: puts that first sent ancestors again which their delta channels need.
    `rows_renewed`: rows sent again for that.
    `missing_ancestors`: puts whose delta channels need an ancestor that was not there.
    """

    NAMES = (
        "puts",
        "put_writes",
        "get_tuples",
        "lists",
        "deletes",
        "copies",
        "prunes",
        "histories",
        "errors",
        "ingest_requests",
        "ingest_rows",
        "ingest_bytes",
        "queries",
        "shared_queries",
        "shared_reads",
        "retries",
        "throttled",
        "incomplete_reads",
        "dead_puts",
        "broken_histories",
        "forks",
        "skipped_incomplete",
        "blobs_stored",
        "blobs_reused",
        "frames_stored",
        "renewals",
        "rows_renewed",
        "missing_ancestors",
    )

    def __init__(self) -> None:
        self._counts = dict.fromkeys(self.NAMES, 0)

    def add(self, name: str, amount: int = 1) -> None:
        """Count; raises KeyError for a name that is not documented."""
        self._counts[name] += amount

    def snapshot(self) -> dict[str, int]:
        """Return all counters, zeros included."""
        return dict(self._counts)

"""Frozen, self-validating options of a saver. Nothing here reads the environment or does I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, TypedDict, get_args

from .errors import InvalidOptionError

WriteMode = Literal["acknowledged", "buffered"]
Ingestion = Literal["streaming", "inline", "queued"]


class OptionValues(TypedDict, total=False):
    """The keywords of a saver's constructor; see `SaverOptions` for what they mean."""

    write_mode: WriteMode
    ingestion: Ingestion
    ingestion_uri: str | None
    queued_timeout: float
    batch_size: int
    flush_interval: float
    query_timeout: float
    ingest_timeout: float
    max_retries: int
    retry_backoff: float
    retry_timeout: float
    visibility_timeout: float
    intake_bytes: int
    overlay_bytes: int
    frame_cache_bytes: int
    intake_timeout: float
    max_in_flight: int
    max_queries: int
    reads_per_query: int
    close_timeout: float


@dataclass(frozen=True, kw_only=True)
class SaverOptions:
    """How a saver writes, reads and retries. Times are in seconds.

    Raises:
        InvalidOptionError: A value is outside its range.
    """

    write_mode: WriteMode = "acknowledged"
    """`acknowledged`: `put` returns when Kusto acknowledged. `buffered`: it returns at once."""

    ingestion: Ingestion = "streaming"
    """How rows are sent. `streaming`: by streaming ingestion. `inline`: as management commands, for
    Microsoft's emulator and clusters with streaming off. `queued`: through Azure storage and the
    Data Management endpoint, for clusters with streaming off; others see rows minutes later."""

    ingestion_uri: str | None = None
    """`queued` only: the Data Management endpoint; by default `ingest-` before the cluster's host,
    on loopback the cluster's own URI."""

    queued_timeout: float = 900.0
    """`queued` only: how long Kusto may take to show what was queued; by default its batching of
    five minutes fits in three times."""

    batch_size: int = 100
    """`buffered` only: rows that make a batch leave before `flush_interval` is over."""

    flush_interval: float = 30.0
    """`buffered` only: the longest a row waits before it leaves."""

    query_timeout: float = 30.0
    """How long Kusto may work on one query."""

    ingest_timeout: float = 60.0
    """How long one ingest request may take before its outcome counts as unknown."""

    max_retries: int = 3
    """Attempts after the first; being throttled (429) does not use one up."""

    retry_backoff: float = 1.0
    """Upper bound of the wait before the first retry; it doubles with each, with full jitter."""

    retry_timeout: float = 120.0
    """No new attempt is made after this time in all."""

    visibility_timeout: float = 10.0
    """How long a read waits for the parts of a checkpoint whose row is visible already."""

    intake_bytes: int = 64 * 1024 * 1024
    """Rows accepted and not yet acknowledged; beyond it, `put` waits."""

    overlay_bytes: int = 128 * 1024 * 1024
    """Rows kept because no query has shown them yet; beyond it, `put` waits."""

    frame_cache_bytes: int = 64 * 1024 * 1024
    """Values kept so that the next ones can be stored as what changed since; with 0 none are."""

    intake_timeout: float = 60.0
    """How long `put` waits for room, of both kinds in all, before it raises `BackpressureError`."""

    max_in_flight: int = 8
    """Ingest requests at a time; Kusto takes 6 per core of the whole cluster (12 on 2 cores)."""

    max_queries: int = 16
    """Queries and management commands at a time; Kusto takes 10 queries per core and node."""

    reads_per_query: int = 16
    """Reads of newest checkpoints that share a query when all of `max_queries` are in use; with 1
    each waits for a query of its own."""

    close_timeout: float = 30.0
    """How long closing waits for rows to be acknowledged."""

    @classmethod
    def from_values(cls, values: OptionValues) -> SaverOptions:
        """Make options of keywords.

        Raises:
            InvalidOptionError: A keyword is unknown, or its value outside its range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidOptionError(
                f"unknown option {', '.join(unknown)}; the options are {', '.join(sorted(known))}"
            )
        return cls(**values)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name, choices in (("write_mode", WriteMode), ("ingestion", Ingestion)):
            value = getattr(self, name)
            if value not in get_args(choices):
                allowed = " or ".join(repr(choice) for choice in get_args(choices))
                raise InvalidOptionError(f"{name} must be {allowed}, not {value!r}")
        uri: object = self.ingestion_uri
        if uri is not None and not isinstance(uri, str):
            raise InvalidOptionError(f"ingestion_uri must be text, not {type(uri).__name__}")
        if uri is not None and self.ingestion != "queued":
            raise InvalidOptionError(
                f'ingestion_uri is used by queued ingestion only, not by "{self.ingestion}"; leave'
                ' it out, or pass ingestion="queued"'
            )
        for field in fields(self):
            if field.name not in ("write_mode", "ingestion", "ingestion_uri"):
                self._check_number(field.name)

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        whole = name in _WHOLE
        kinds = (int,) if whole else (int, float)
        zero_allowed = name in _ZERO_ALLOWED
        in_range = (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and (isinstance(value, int) or math.isfinite(value))
            and (value >= 0 if zero_allowed else value > 0)
        )
        if not in_range:
            kind = "a whole number" if whole else "a number of seconds"
            least = "0 or more" if zero_allowed else "more than 0"
            raise InvalidOptionError(f"{name} must be {kind}, {least}, not {value!r}")


_WHOLE = {
    "batch_size",
    "max_retries",
    "intake_bytes",
    "overlay_bytes",
    "frame_cache_bytes",
    "max_in_flight",
    "max_queries",
    "reads_per_query",
}
_ZERO_ALLOWED = {
    "frame_cache_bytes",
    "max_retries",
    "retry_backoff",
    "visibility_timeout",
    "close_timeout",
}

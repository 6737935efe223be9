"""Every query text the library sends, named and explained. Nothing else in the library holds KQL
but the schema (`_schema.py`).

Rules:
- Values enter as query parameters, never as text.
- Lists of our own ids (blobs, epochs, submissions: letters, digits) enter as comma-separated
  strings: a `dynamic` could retype what looks like a number or a date.
- Ids compare with `strcmp`, KQL has no `<` on strings.
- Writes without an epoch arrived before their checkpoint was known; they live and die with it.
- The view is asked for ids only: which of two copies it shows is arbitrary.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._schema import CLEAR_SCHEMA_CACHE, create_view
from .checkpoint import (
    READ_BLOBS,
    READ_BY_ID,
    READ_LATEST,
    READ_LATEST_UNHIDDEN,
    READ_WRITES,
    SUM_WRITES,
)
from .commands import (
    COUNT_CHECKPOINTS,
    SHOW_SCHEMA,
    SHOW_TABLES,
    SHOW_VIEW,
    ingest_inline,
    quote_name,
    show_database_streaming,
    show_mappings,
    show_operation,
    show_streaming,
)
from .lists import LIST_PAGE_ROWS, list_keys, read_many
from .overlay import CONFIRM, CONFIRM_AGAIN
from .renewal import READ_AGAIN, WEIGH_ANCESTORS, WEIGH_BLOBS
from .shared import READ_LATEST_SHARED
from .thread import (
    CHAIN_PAGE_ROWS,
    FIND_COPIES,
    FIND_EPOCH,
    FIND_RUNS,
    HISTORY_CHANNELS,
    HISTORY_ROWS,
    READ_EPOCHS,
    READ_HISTORY,
    history_chain,
    list_chain,
)

__all__ = [
    "CHAIN_PAGE_ROWS",
    "CONFIRM",
    "CONFIRM_AGAIN",
    "COUNT_CHECKPOINTS",
    "FIND_COPIES",
    "FIND_EPOCH",
    "FIND_RUNS",
    "HISTORY_CHANNELS",
    "HISTORY_ROWS",
    "LIST_PAGE_ROWS",
    "READ_AGAIN",
    "READ_BLOBS",
    "READ_BY_ID",
    "READ_EPOCHS",
    "READ_HISTORY",
    "READ_LATEST",
    "READ_LATEST_SHARED",
    "READ_LATEST_UNHIDDEN",
    "READ_WRITES",
    "SHOW_SCHEMA",
    "SHOW_TABLES",
    "SHOW_VIEW",
    "SUM_WRITES",
    "WEIGH_ANCESTORS",
    "WEIGH_BLOBS",
    "all_texts",
    "history_chain",
    "ingest_inline",
    "list_chain",
    "list_keys",
    "quote_name",
    "read_many",
    "show_database_streaming",
    "show_mappings",
    "show_operation",
    "show_streaming",
]


def all_texts() -> Iterator[tuple[str, str]]:
    """Every text the library can send, with every optional clause both ways (for the lint)."""
    yield "READ_LATEST", READ_LATEST
    yield "READ_LATEST_UNHIDDEN", READ_LATEST_UNHIDDEN
    yield "READ_LATEST_SHARED", READ_LATEST_SHARED
    yield "READ_BY_ID", READ_BY_ID
    yield "READ_BLOBS", READ_BLOBS
    yield "SUM_WRITES", SUM_WRITES
    yield "READ_WRITES", READ_WRITES
    yield "READ_EPOCHS", READ_EPOCHS
    yield "FIND_EPOCH", FIND_EPOCH
    yield "FIND_COPIES", FIND_COPIES
    yield "FIND_RUNS", FIND_RUNS
    yield "CONFIRM", CONFIRM
    for table, text in CONFIRM_AGAIN.items():
        yield f"CONFIRM_AGAIN[{table}]", text
    yield "READ_HISTORY", READ_HISTORY
    yield "WEIGH_ANCESTORS", WEIGH_ANCESTORS
    yield "WEIGH_BLOBS", WEIGH_BLOBS
    for table, text in READ_AGAIN.items():
        yield f"READ_AGAIN[{table}]", text
    for number in range(1, HISTORY_CHANNELS + 1):
        yield f"history_chain({number})", history_chain(number)
    for cursor in (False, True):
        yield f"list_chain(cursor={cursor})", list_chain(cursor=cursor)
    names = ("thread", "namespace", "by_id", "before", "cursor", "metadata")
    for bits in range(2 ** len(names)):
        flags = {name: bool(bits >> place & 1) for place, name in enumerate(names)}
        label = ",".join(name for name, chosen in flags.items() if chosen)
        yield f"list_keys({label})", list_keys(**flags)
    yield "SHOW_SCHEMA", SHOW_SCHEMA
    yield "SHOW_TABLES", SHOW_TABLES
    yield "SHOW_VIEW", SHOW_VIEW
    yield "show_database_streaming", show_database_streaming("database")
    yield "COUNT_CHECKPOINTS", COUNT_CHECKPOINTS
    yield "show_mappings", show_mappings("Checkpoints")
    yield "show_streaming", show_streaming("Checkpoints")
    yield "ingest_inline", ingest_inline("Checkpoints", "Checkpoints_v1") + '{"thread_id":"1"}'
    yield "show_operation", show_operation("00000000-0000-0000-0000-000000000001")
    yield "create_view(backfill)", create_view(backfill=True)
    yield "CLEAR_SCHEMA_CACHE", CLEAR_SCHEMA_CACHE
    for thread in (False, True):
        yield f"read_many(thread={thread})", read_many(thread=thread)

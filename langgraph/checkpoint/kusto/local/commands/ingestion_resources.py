"""Commands of the Data Management service: where a client puts what is to be ingested.

Lives here: `.get ingestion resources` and `.get kusto identity token`. Does not live here: the
storage (`azurite`), and what becomes of the messages (`queued`).

Kusto has them at an endpoint of their own; here it is the same one. Without an Azurite they are
unknown, as they are to Microsoft's emulator.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..cursor import Cursor
from ..roles import Access
from .base import Command, CommandContext, CommandResult, Row, columns, command, showing

RESOURCES = columns("ResourceTypeName:string StorageRoot:string")
TOKEN = columns("AuthorizationContext:string")
# Stands for a token that Kusto signs; a message without it is refused.
IDENTITY = "local-kusto-identity"
_GET = re.compile(r"\s*\.get\s+(?:ingestion|kusto)\b")


@command("get", "ingestion", "resources")
def get_ingestion_resources(cursor: Cursor, context: CommandContext) -> Command:
    """`.get ingestion resources`."""
    storage = context.azurite
    return _of_the_service(
        cursor, context, "IngestionResourcesGet", lambda: storage.resources() if storage else []
    )


@command("get", "kusto", "identity", "token")
def get_identity_token(cursor: Cursor, context: CommandContext) -> Command:
    """`.get kusto identity token`."""
    return _of_the_service(cursor, context, "KustoIdentityTokenGet", lambda: [(IDENTITY,)])


def is_of_data_management(text: str) -> bool:
    """Tell whether a command is one of these."""
    return bool(_GET.match(text))


def _of_the_service(
    cursor: Cursor, context: CommandContext, kind: str, rows: Callable[[], list[Row]]
) -> Command:
    if context.azurite is None:
        raise cursor.error(
            "A recognition error occurred: this is a command of the Data Management service, which"
            " the local server has with an Azurite only (--azurite)"
        )
    made = RESOURCES if kind == "IngestionResourcesGet" else TOKEN
    return showing(kind, lambda: CommandResult(made, rows()), Access.INGEST)

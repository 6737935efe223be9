"""Failures: what the errors say, which request failed and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from shared.sdk_errors import (
    COMMAND,
    INGEST,
    INLINE,
    QUERY,
    QUEUED,
    REQUESTS,
    URI,
    from_sdk,
    one_api,
)

from langgraph.checkpoint.kusto._transport.failures import Kind, Request, malformed, translate
from langgraph.checkpoint.kusto.errors import (
    IngestionUnavailableError,
    PermissionDeniedError,
    RowsRejectedError,
    StreamingDisabledError,
)


def test_a_request_names_itself() -> None:
    assert str(QUERY) == f"query (database 'db' at {URI})"
    assert str(COMMAND) == f"command (database 'db' at {URI})"
    assert str(INGEST) == f"ingestion into Checkpoints (database 'db' at {URI})"


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("query", "Database Viewer:"),
        ("ingest", "Database Ingestor:"),
        ("command", r"Database Viewer \(checks\) or Database Admin"),
    ],
)
def test_a_missing_role_is_named(kind: Kind, role: str) -> None:
    error = translate(from_sdk(kind, 403, one_api("no")), REQUESTS[kind])
    with pytest.raises(PermissionDeniedError, match=f"grant it {role}"):
        raise error


def test_streaming_off_names_the_command_for_the_table() -> None:
    text = str(translate(from_sdk("ingest", 404, None), INGEST))

    assert "`.alter table Checkpoints policy streamingingestion enable`" in text
    assert "portal" in text
    assert 'or pass ingestion="queued" (others see rows minutes later) or "inline"' in text


NO_COMMAND = one_api("Syntax error: SYN0002: A recognition error occurred.", code="BadRequest")


@pytest.mark.parametrize(
    ("request_", "switch"),
    [
        (INLINE, 'pass ingestion="streaming" or "queued"'),
        (QUEUED, 'pass ingestion_uri="https://ingest-<cluster>'),
        (QUEUED, 'ingestion="inline" (the emulator) or "streaming"'),
    ],
)
@pytest.mark.parametrize(("status", "body"), [(404, None), (400, NO_COMMAND)])
def test_another_way_that_is_not_there_names_the_switch(
    request_: Request, switch: str, status: int, body: dict[str, Any] | None
) -> None:
    error = translate(from_sdk("command", status, body), request_)

    assert type(error) is IngestionUnavailableError
    assert switch in str(error)
    assert not error.retriable


def test_the_other_ways_are_not_streaming() -> None:
    off = one_api("Streaming ingestion is not enabled for the table")
    assert type(translate(from_sdk("ingest", 400, off), INGEST)) is StreamingDisabledError
    bad = one_api("A row is bad")
    assert type(translate(from_sdk("command", 400, bad), INLINE)) is RowsRejectedError
    assert type(translate(from_sdk("command", 403, bad), QUEUED)) is PermissionDeniedError


@pytest.mark.parametrize("missing", ["Table", "MappingPersistent"])
def test_what_setup_makes_names_setup(missing: str) -> None:
    body = one_api(f"Entity ID 'x' of kind '{missing}' was not found.")
    text = str(translate(from_sdk("ingest", 400, body), INGEST))

    assert "provision.kql" in text
    assert "setup(create=True)" in text


def test_malformed_names_the_request() -> None:
    assert str(malformed(QUERY, "is cut")).startswith(f"the answer to the {QUERY} is cut; check")

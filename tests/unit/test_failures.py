"""Failures: what Kusto answers, by status and body, and the error of ours it becomes."""

from __future__ import annotations

from typing import Any

import pytest
from azure.kusto.data import exceptions as sdk
from shared.sdk_errors import INGEST, LIMITS, QUERY, REQUESTS, from_sdk, one_api

from langgraph.checkpoint.kusto._transport.failures import (
    Kind,
    ServerError,
    translate,
    translate_server_error,
)
from langgraph.checkpoint.kusto.errors import (
    AuthenticationError,
    DatabaseNotFoundError,
    InvalidClusterUriError,
    KustoCheckpointError,
    MalformedResponseError,
    PermissionDeniedError,
    QueryFailedError,
    ResultTooLargeError,
    RowsRejectedError,
    SchemaTooOldError,
    ServiceUnavailableError,
    StreamingDisabledError,
    TableNotFoundError,
    ThrottledError,
)

STREAM = "Kusto.DataNode.Exceptions.StreamingIngestionRequestException"

# kind, status, body, class: what Kusto and its SDKs say, and what it means for a caller.
ANSWERS: list[tuple[Kind, int, dict[str, Any] | str | None, type[KustoCheckpointError]]] = [
    # Throttling, by status or by what is said.
    ("query", 429, None, ThrottledError),
    ("ingest", 429, None, ThrottledError),
    ("command", 429, one_api("slow", "TooManyRequests", permanent=False), ThrottledError),
    (
        "query",
        400,
        one_api("aborted", "TooManyRequests", type="Kusto.X.QueryThrottledException"),
        ThrottledError,
    ),
    (
        "command",
        503,
        one_api("no capacity", "x", type="Kusto.X.ControlCommandThrottledException"),
        ThrottledError,
    ),
    # Cannot now, perhaps later.
    ("query", 500, "", ServiceUnavailableError),
    ("query", 502, "<html>Bad gateway</html>", ServiceUnavailableError),
    ("ingest", 503, None, ServiceUnavailableError),
    ("ingest", 504, one_api("timeout", "Timeout", permanent=False), ServiceUnavailableError),
    (
        "query",
        520,
        one_api("oops", "InternalServiceError", permanent=None),
        ServiceUnavailableError,
    ),
    (
        "ingest",
        400,
        one_api("Can't determine row store for ingestion", "General", type=STREAM, permanent=False),
        ServiceUnavailableError,
    ),
    # Never, however often it is asked.
    ("query", 500, one_api("broken", "Internal service error"), QueryFailedError),
    ("query", 400, one_api("Syntax error: Query could not be parsed"), QueryFailedError),
    ("query", 400, "no JSON", QueryFailedError),
    ("query", 413, one_api("too large"), QueryFailedError),
    ("command", 409, one_api("Conflict"), QueryFailedError),
    # Who is asking.
    ("query", 401, None, AuthenticationError),
    ("ingest", 401, one_api("x"), AuthenticationError),
    ("query", 403, one_api("Principal 'aadapp=1' is not authorized"), PermissionDeniedError),
    ("ingest", 403, "", PermissionDeniedError),
    ("command", 400, one_api("Caller is not authorized to perform it"), PermissionDeniedError),
    ("ingest", 400, one_api("x", "Forbidden"), PermissionDeniedError),
    # What is missing.
    ("ingest", 404, None, StreamingDisabledError),
    (
        "ingest",
        400,
        one_api("Streaming ingestion is not enabled for table 'Checkpoints'", type=STREAM),
        StreamingDisabledError,
    ),
    (
        "ingest",
        400,
        one_api("streamingingestion policy of the table is disabled", type=STREAM),
        StreamingDisabledError,
    ),
    ("query", 404, "x", InvalidClusterUriError),
    ("command", 404, one_api("x"), InvalidClusterUriError),
    (
        "query",
        400,
        one_api("Entity ID 'nope' of kind 'Database' was not found."),
        DatabaseNotFoundError,
    ),
    ("query", 400, one_api("Database 'nope' could not be found."), DatabaseNotFoundError),
    ("ingest", 400, one_api("x", "BadRequest_DatabaseNotExist"), DatabaseNotFoundError),
    (
        "ingest",
        400,
        one_api(
            "Entity ID 'Checkpoints_v1' of kind 'MappingPersistent' was not found.", type=STREAM
        ),
        SchemaTooOldError,
    ),
    ("ingest", 400, one_api("x", "BadRequest_MappingReferenceWasNotFound"), SchemaTooOldError),
    (
        "ingest",
        400,
        one_api("Entity ID 'Checkpoints' of kind 'Table' was not found.", type=STREAM),
        TableNotFoundError,
    ),
    ("ingest", 400, one_api("x", "BadRequest_TableNotExist"), TableNotFoundError),
    (
        "query",
        400,
        one_api(
            "Semantic error: SEM0100: 'where' operator: Failed to resolve table or column"
            " expression named 'CheckpointWrites'"
        ),
        TableNotFoundError,
    ),
    (
        "query",
        400,
        one_api("Semantic error: Failed to resolve entity 'LatestCheckpoints'"),
        TableNotFoundError,
    ),
    (
        "query",
        400,
        one_api(
            "Semantic error: SEM0100: 'project' operator: Failed to resolve scalar expression named"
            " 'row_bytes'"
        ),
        SchemaTooOldError,
    ),
    # Sizes.
    ("query", 400, one_api(LIMITS, "LimitsExceeded", permanent=False), ResultTooLargeError),
    ("ingest", 413, "Request Entity Too Large", RowsRejectedError),
    ("ingest", 413, one_api("payload"), RowsRejectedError),
    ("ingest", 400, one_api("x exceeds the maximum allowed size", type=STREAM), RowsRejectedError),
    # Rows.
    ("ingest", 400, one_api("Failed to parse", failureCode=400, type=STREAM), RowsRejectedError),
    ("ingest", 400, "not JSON", RowsRejectedError),
    # Not Kusto's answer.
    ("query", 200, "<html>sign in</html>", MalformedResponseError),
    ("ingest", 200, "", MalformedResponseError),
    ("query", 302, "", MalformedResponseError),
    ("query", 502, {"message": "a proxy's JSON"}, MalformedResponseError),
]


@pytest.mark.parametrize(("kind", "status", "body", "expected"), ANSWERS)
def test_answers_of_kusto(
    kind: Kind,
    status: int,
    body: dict[str, Any] | str | None,
    expected: type[KustoCheckpointError],
) -> None:
    error = translate(from_sdk(kind, status, body), REQUESTS[kind])

    assert type(error) is expected
    if isinstance(body, dict) and "error" in body and status not in (401, 404, 429):
        # What Kusto says is what one has to search for.
        assert body["error"]["@message"] in str(error)
        assert "Request is invalid and cannot be executed." not in str(error)


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 409, 413, 429, 500, 503, 520])
@pytest.mark.parametrize("body", [None, "", "text", {}, {"error": {}}, {"error": "x"}, one_api("")])
def test_no_answer_is_unmapped(kind: Kind, status: int, body: Any) -> None:
    error = translate(from_sdk(kind, status, body), REQUESTS[kind])

    assert isinstance(error, KustoCheckpointError)
    if status in (401, 404, 429):  # whatever the body says
        assert error.retriable == (status == 429)


def test_permanent_5xx_is_not_retried_and_transient_4xx_is() -> None:
    assert not translate(from_sdk("query", 503, one_api("x")), QUERY).retriable
    assert translate(from_sdk("query", 400, one_api("x", permanent=False)), QUERY).retriable
    assert translate(from_sdk("query", 503, one_api("x", permanent=None)), QUERY).retriable
    assert not translate(from_sdk("query", 400, one_api("x", permanent=None)), QUERY).retriable


def test_the_hint_of_the_server() -> None:
    def hint(**headers: str) -> float | None:
        error = translate(from_sdk("ingest", 429, None, **headers), INGEST)
        assert isinstance(error, ThrottledError)
        return error.retry_after

    assert hint() is None
    assert hint(Retry_After="7") == 7.0
    assert hint(Retry_After="0.5") == 0.5
    assert hint(Retry_After="-3") == 0.0
    assert hint(Retry_After="nan") == 0.0
    assert hint(Retry_After="Wed, 21 Oct 2026 07:28:00 GMT") is None
    bare = translate(sdk.KustoThrottlingError(), INGEST)
    assert isinstance(bare, ThrottledError)
    assert bare.retry_after is None


def test_an_answer_without_fields() -> None:
    error = ServerError.from_one_api({}, 200)

    assert error == ServerError("", "", None, 200)
    assert type(translate_server_error(error, QUERY)) is QueryFailedError
    assert ServerError.from_one_api({"message": "m", "code": None}, 400).text == "m"
    full = ServerError.from_one_api(one_api("said")["error"], 400)
    assert full.code == "BadRequest Kusto.Data.Exceptions.KustoBadRequestException"
    assert (full.text, full.permanent, full.status) == ("said", True, 400)


def test_several_errors_in_one() -> None:
    several = [{"OneApiErrors": [one_api("first", permanent=False), one_api("second")]}]
    error = translate(sdk.KustoMultiApiError(several), QUERY)

    assert type(error) is ServiceUnavailableError
    assert "first" in str(error)
    too_large = [{"OneApiErrors": [one_api(LIMITS, permanent=False)]}]
    assert type(translate(sdk.KustoMultiApiError(too_large), QUERY)) is ResultTooLargeError
    assert type(translate(sdk.KustoMultiApiError([{}]), QUERY)) is QueryFailedError

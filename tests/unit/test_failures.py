"""Errors of the SDK, aiohttp and Kusto: every one becomes an error of ours, and the right one."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from typing import Any

import aiohttp
import azure.kusto.data
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError
from azure.kusto.data import exceptions as sdk
from azure.kusto.data.client_base import _KustoClientBase

from langgraph.checkpoint.kusto import errors
from langgraph.checkpoint.kusto._transport.failures import (
    Kind,
    Request,
    ServerError,
    malformed,
    translate,
    translate_server_error,
)
from langgraph.checkpoint.kusto.errors import (
    AuthenticationError,
    ClusterUnreachableError,
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

URI = "https://mycluster.kusto.windows.net"
QUERY = Request("query", URI, "db")
COMMAND = Request("command", URI, "db")
INGEST = Request("ingest", URI, "db", "Checkpoints")
REQUESTS = {"query": QUERY, "command": COMMAND, "ingest": INGEST}


class Response:
    """What the SDK keeps of an answer: aiohttp's `status`, or the `status_code` of requests."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.reason = "reason"
        self.headers = headers or {}


def one_api(message: str, code: str = "BadRequest", **fields: Any) -> dict[str, Any]:
    """A body of KUSTO's OneApi form: `message` is generic, `@message` says what happened."""
    body = {
        "code": code,
        "message": "Request is invalid and cannot be executed.",
        "@type": "Kusto.Data.Exceptions.KustoBadRequestException",
        "@message": message,
        "@context": {"clientRequestId": "KPC.execute;1"},
        "@permanent": True,
    }
    body.update({f"@{name}": value for name, value in fields.items()})
    return {"error": body}


def from_sdk(
    kind: Kind, status: int, body: dict[str, Any] | str | None, **headers: str
) -> Exception:
    """The exception the SDK makes of an answer, by its own code."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        _KustoClientBase._handle_http_error(
            ValueError("status"),
            f"{URI}/v2/rest/query",
            object() if kind == "ingest" else None,  # type: ignore[arg-type]
            Response(status, named),  # type: ignore[arg-type]
            status,
            body if isinstance(body, dict) else None,
            body if isinstance(body, str) else str(body),
        )
    except Exception as error:  # noqa: BLE001 - whatever it makes
        return error


LIMITS = (
    "Query execution has exceeded the allowed limits (80DA0003): The results of this query exceed"
    " the set limit of 5 records, so not all records were returned"
    " (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003)."
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


# --------------------------------------------------------------------- every exception of the SDK


def sdk_errors() -> list[type[sdk.KustoError]]:
    """All subclasses of `KustoError`, in whatever module of the SDK they stand."""
    for module in pkgutil.walk_packages(azure.kusto.data.__path__, "azure.kusto.data."):
        importlib.import_module(module.name)
    found, queue = [], [sdk.KustoError]
    while queue:
        cls = queue.pop()
        found.append(cls)
        queue += cls.__subclasses__()
    return sorted(set(found), key=lambda cls: cls.__name__)


def instance_of(cls: type[sdk.KustoError]) -> sdk.KustoError:
    """Make one, with plain values for whatever its constructor asks for."""
    special: dict[str, Any] = {
        "messages": "what the SDK says",
        "errors": [{"OneApiErrors": [one_api("what Kusto says")]}],
        "error_dict": one_api("what Kusto says"),
        "exception": ValueError("inner"),
        "inner": ValueError("inner"),
    }
    if cls.__init__ is Exception.__init__:
        return cls("what the SDK says")
    needed = [
        parameter
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return cls(*(special.get(parameter.name, "text") for parameter in needed))


SDK_ERRORS = sdk_errors()


def test_the_walk_finds_the_known_ones() -> None:
    assert {
        "KustoError",
        "KustoServiceError",
        "KustoApiError",
        "KustoMultiApiError",
        "KustoNetworkError",
        "KustoClientError",
        "KustoAuthenticationError",
        "KustoThrottlingError",
        "KustoClosedError",
        "KustoClientInvalidConnectionStringException",
        "KustoStreamingQueryError",
        "KustoTokenParsingError",
        "KustoBlobError",
        "KustoUnsupportedApiError",
    } <= {cls.__name__ for cls in SDK_ERRORS}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("cls", SDK_ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_of_the_sdk_is_mapped(cls: type[sdk.KustoError], kind: Kind) -> None:
    error = translate(instance_of(cls), REQUESTS[kind])

    known = {
        "KustoNetworkError": ClusterUnreachableError,
        "KustoThrottlingError": ThrottledError,
        "KustoAuthenticationError": AuthenticationError,
        "KustoClientInvalidConnectionStringException": InvalidClusterUriError,
    }
    service = RowsRejectedError if kind == "ingest" else QueryFailedError
    default = service if issubclass(cls, sdk.KustoServiceError) else QueryFailedError
    assert type(error) is known.get(cls.__name__, default)
    # Never the fallback for what nobody thought of.
    assert not isinstance(error, MalformedResponseError)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError("reset"),
        OSError("no route"),
        aiohttp.ClientError("client"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ServerTimeoutError(),
        aiohttp.ClientPayloadError("cut"),
    ],
)
@pytest.mark.parametrize("kind", REQUESTS)
def test_no_answer(error: Exception, kind: Kind) -> None:
    translated = translate(error, REQUESTS[kind])

    assert type(translated) is ClusterUnreachableError
    assert ("may or may not have landed" in str(translated)) == (kind == "ingest")


def test_the_cause_of_a_network_error_is_named() -> None:
    try:
        try:
            raise ConnectionRefusedError("port 443")
        except OSError as inner:
            raise sdk.KustoNetworkError(URI) from inner
    except sdk.KustoNetworkError as error:
        text = str(translate(error, QUERY))
    assert "ConnectionRefusedError: port 443" in text
    assert "check the URI, the network" in text
    assert "asyncio.TimeoutError" not in str(translate(asyncio.TimeoutError(), QUERY))
    assert ": KustoNetworkError: Failed" in str(translate(sdk.KustoNetworkError(URI), QUERY))


@pytest.mark.parametrize(
    "error", [KeyError("Tables"), ValueError("x"), RuntimeError("x"), Exception()]
)
def test_anything_else_is_an_answer_that_cannot_be_read(error: Exception) -> None:
    translated = translate(error, QUERY)

    assert type(translated) is MalformedResponseError
    assert type(error).__name__ in str(translated)


@pytest.mark.parametrize(
    "error", [errors.SaverClosedError(), ThrottledError("x"), errors.MalformedResponseError("x")]
)
def test_our_own_errors_stay_as_they_are(error: KustoCheckpointError) -> None:
    assert translate(error, QUERY) is error


# ------------------------------------------------------------------------------- authentication


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (ClientAuthenticationError("AADSTS700016: not found\nTrace ID: 1"), AuthenticationError),
        (CredentialUnavailableError("no credential"), AuthenticationError),
        (ValueError("wrong"), AuthenticationError),
        (sdk.KustoClientError("failed to obtain a token"), AuthenticationError),
        (sdk.KustoNetworkError("https://login"), ClusterUnreachableError),
        (ServiceRequestError("cannot connect to login"), ClusterUnreachableError),
        (ServiceResponseError("connection reset"), ClusterUnreachableError),
        (TimeoutError("slow"), ClusterUnreachableError),
    ],
)
def test_no_token(inner: Exception, expected: type[KustoCheckpointError]) -> None:
    error = translate(sdk.KustoAuthenticationError("method", inner, secret="hunter2"), QUERY)

    assert type(error) is expected
    assert "no token could be had" in str(error)
    assert "hunter2" not in str(error)
    assert "Trace ID" not in str(error)


def test_a_credential_that_raises_by_itself() -> None:
    error = translate(ClientAuthenticationError("nope"), QUERY)

    assert type(error) is AuthenticationError
    assert "az login" in str(error)
    silent = translate(sdk.KustoAuthenticationError("method", ValueError()), QUERY)
    assert str(silent).endswith("pass credential=: ValueError: ")


def test_the_metadata_of_the_cloud_comes_through_requests() -> None:
    """Its answers have `status_code`, not `status`."""

    class FromRequests:
        def __init__(self, status_code: int) -> None:
            self.status_code = status_code

    for status, expected in (
        (503, ServiceUnavailableError),
        (200, MalformedResponseError),
        (403, PermissionDeniedError),
        (401, AuthenticationError),
    ):
        error = sdk.KustoServiceError("invalid cloud metadata response", FromRequests(status))  # type: ignore[arg-type]
        assert type(translate(error, QUERY)) is expected


# ------------------------------------------------------------------------ what the errors say


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


@pytest.mark.parametrize("missing", ["Table", "MappingPersistent"])
def test_what_setup_makes_names_setup(missing: str) -> None:
    body = one_api(f"Entity ID 'x' of kind '{missing}' was not found.")
    text = str(translate(from_sdk("ingest", 400, body), INGEST))

    assert "provision.kql" in text
    assert "setup(create=True)" in text


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


def test_malformed_names_the_request() -> None:
    assert str(malformed(QUERY, "is cut")).startswith(f"the answer to the {QUERY} is cut; check")

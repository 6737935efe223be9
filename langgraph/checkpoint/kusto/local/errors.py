"""Errors in the shape of Kusto's REST protocol.

Lives here: one exception that carries an HTTP status and a OneApi error, and a constructor for
every kind of failure the local server reports. Does not live here: HTTP, JSON frames, and the
wording of query errors, which the KQL engine chooses.

Codes and exception type names are those of the Kusto.Data error tables
(`data-explorer/kusto/api/netfx/kusto-data-client-errors.md`) and of the OneApi example in
`data-explorer/kusto/api/rest/response-v2.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

GENERIC_BAD_REQUEST = "Request is invalid and cannot be executed."
GENERIC_FORBIDDEN = "Caller is not authorized to perform this action"
DATA_EXCEPTIONS = "Kusto.Data.Exceptions."
STREAMING_REQUEST_EXCEPTION = "Kusto.DataNode.Exceptions.StreamingIngestionRequestException"


class LocalKustoError(RuntimeError):
    """The local server cannot start or stop; the message names the remedy."""


@dataclass(frozen=True)
class InnerError:
    """The more precise error inside a OneApi error."""

    code: str
    message: str
    type: str
    detail: str


class ServiceError(Exception):
    """A request failed; says everything a OneApi error body needs."""

    def __init__(
        self,
        status: int,
        code: str,
        type: str,
        detail: str,
        *,
        message: str = GENERIC_BAD_REQUEST,
        permanent: bool = True,
        inner: InnerError | None = None,
        failure_code: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.type = type
        self.detail = detail
        self.message = message
        self.permanent = permanent
        self.inner = inner
        self.failure_code = failure_code
        # Seconds for the header Retry-After, which only a fault sends: Kusto documents none.
        self.retry_after: float | None = None

    def __str__(self) -> str:
        return self.detail


def bad_request(detail: str, *, code: str = "General_BadRequest") -> ServiceError:
    """Return a permanent 400 with Kusto's general exception type."""
    return ServiceError(400, code, DATA_EXCEPTIONS + "KustoBadRequestException", detail)


def syntax_error(problem: str, *, line: int, position: int, text: str) -> ServiceError:
    """Return the error for text that does not parse, worded like Kusto's SYN0002."""
    found = f"Syntax error: SYN0002: {problem} [line:position={line}:{position}]"
    return query_error("syntax", "SYN0002", f"{found}. Query: '{_shortened(text)}'")


def query_error(kind: str, code: str, message: str) -> ServiceError:
    """Return the error for a query or command that was refused or failed.

    Args:
        kind: "syntax", "semantic", "runtime" or "limits".
        code: Kusto's code, such as SEM0100.
        message: the text with its label, such as `Semantic error: SEM0100: ...`.
    """
    if kind == "limits":
        return limits_exceeded(message)
    type_name, outer = {
        "syntax": ("SyntaxException", "BadRequest_SyntaxError"),
        "semantic": ("SemanticException", "General_BadRequest"),
    }.get(kind, ("KustoBadRequestException", "General_BadRequest"))
    bare = message.partition(f"{code}: ")[2] or message
    return ServiceError(
        400,
        outer,
        DATA_EXCEPTIONS + "KustoBadRequestException",
        f"Request is invalid and cannot be processed: {message}",
        inner=InnerError(code, bare, DATA_EXCEPTIONS + type_name, detail=message),
    )


def limits_exceeded(detail: str) -> ServiceError:
    """Return the failure of a query that passed a limit.

    Kusto's own fixtures mark it not permanent although a retry cannot help.
    """
    return ServiceError(
        400,
        "LimitsExceeded",
        DATA_EXCEPTIONS + "KustoServicePartialQueryFailureLimitsExceededException",
        f"Query execution has exceeded the allowed limits (80DA0003): {detail}.",
        permanent=False,
    )


def database_not_found(name: str) -> ServiceError:
    """Return the error for a database the server does not have."""
    return ServiceError(
        400,
        "BadRequest_DatabaseNotExist",
        DATA_EXCEPTIONS + "DatabaseNotFoundException",
        f"Database '{name}' could not be found.",
    )


def entity_not_found(kind: str, name: str) -> ServiceError:
    """Return the error for a missing table, function, view, column or mapping."""
    return ServiceError(
        400,
        "BadRequest_EntityNotFound",
        DATA_EXCEPTIONS + "EntityNotFoundException",
        f"Entity ID '{name}' of kind '{kind}' was not found.",
    )


def entity_exists(kind: str, name: str) -> ServiceError:
    """Return the error for creating what is already there."""
    return ServiceError(
        400,
        "BadRequest_EntityAlreadyExists",
        DATA_EXCEPTIONS + "EntityAlreadyExistsException",
        f"Entity ID '{name}' of kind '{kind}' already exists.",
    )


def mapping_not_found(name: str) -> ServiceError:
    """Return the error for an ingest that names a mapping the table does not have."""
    return ServiceError(
        400,
        "BadRequest_MappingReferenceWasNotFound",
        DATA_EXCEPTIONS + "MappingNotFoundException",
        f"Entity ID '{name}' of kind 'MappingPersistent' was not found.",
    )


def policy_error(detail: str) -> ServiceError:
    """Return the error for a policy value Kusto would refuse."""
    return bad_request(f"Error during execution of a policy operation: {detail}")


def streaming_request(database: str, table: str, problem: str) -> ServiceError:
    """Return the permanent 400 of a bad streaming ingestion request."""
    return ServiceError(
        400,
        "BadRequest",
        STREAMING_REQUEST_EXCEPTION,
        f"Bad streaming ingestion request to {database}.{table} : {problem}",
        failure_code=400,
    )


def streaming_too_large(database: str, table: str, found: int, limit: int) -> ServiceError:
    """Return the permanent 413 of an ingest that holds too many bytes."""
    return ServiceError(
        413,
        "Stream_InputStreamTooLarge",
        DATA_EXCEPTIONS + "KustoRequestPayloadTooLargeException",
        f"Bad streaming ingestion request to {database}.{table} : The input stream is too large: "
        f"{found} bytes uncompressed, the maximum allowed size is {limit} bytes",
        message="Request payload exceeded limits.",
        failure_code=413,
    )


def not_found(path: str) -> ServiceError:
    """Return the 404 of an endpoint that does not exist, or is switched off."""
    return ServiceError(
        404,
        "NotFound",
        DATA_EXCEPTIONS + "KustoRequestException",
        f"The requested endpoint '{path}' does not exist.",
        message="Request references a non-existing entity.",
    )


def forbidden(operation: str, needed: str) -> ServiceError:
    """Return the 403 of a caller without the role an operation needs."""
    return ServiceError(
        403,
        "Forbidden",
        DATA_EXCEPTIONS + "KustoRequestDeniedException",
        f"Principal 'anonymous' is not authorized to perform operation '{operation}': "
        f"it needs the role {needed}.",
        message=GENERIC_FORBIDDEN,
    )


def unauthorized() -> ServiceError:
    """Return the 401 of a request without the bearer token the server was given."""
    return ServiceError(
        401,
        "Unauthorized",
        DATA_EXCEPTIONS + "KustoClientAuthenticationException",
        "The request carries no valid bearer token.",
        message="Client needs to authenticate first.",
    )


def internal(detail: str) -> ServiceError:
    """Return the 520 for a fault of the local server itself."""
    return ServiceError(
        520,
        "General_InternalServerError",
        DATA_EXCEPTIONS + "KustoServiceException",
        detail,
        message="Service found an error while processing the request.",
        permanent=False,
    )


def storage_failed(detail: str) -> ServiceError:
    """Return the 520 of a write that the disk did not take: nothing of it is there."""
    return internal(f"The storage of the database failed and nothing was written: {detail}")


def timed_out(seconds: float) -> ServiceError:
    """Return the 504 of a request that ran longer than its server timeout."""
    return ServiceError(
        504,
        "RequestExecutionTimeout",
        DATA_EXCEPTIONS + "KustoServiceTimeoutException",
        f"Request execution has exceeded the timeout of {seconds:g} seconds.",
        message="Request has timed out.",
        permanent=False,
    )


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 200 else flat[:200] + "..."

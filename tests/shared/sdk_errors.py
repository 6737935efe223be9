"""What Kusto says when it refuses, and the exception that the SDK makes of it."""

from __future__ import annotations

from typing import Any

from azure.kusto.data.client_base import _KustoClientBase

from langgraph.checkpoint.kusto._transport.failures import Kind, Request

URI = "https://mycluster.kusto.windows.net"
QUERY = Request("query", URI, "db")
COMMAND = Request("command", URI, "db")
INGEST = Request("ingest", URI, "db", "Checkpoints")
INLINE = Request("ingest", URI, "db", "Checkpoints", "inline")
QUEUED = Request("ingest", URI, "db", "Checkpoints", "queued")
REQUESTS = {"query": QUERY, "command": COMMAND, "ingest": INGEST}
LIMITS = (
    "Query execution has exceeded the allowed limits (80DA0003): The results of this query exceed"
    " the set limit of 5 records, so not all records were returned"
    " (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003)."
)


class Response:
    """What the SDK keeps of an answer: aiohttp's `status`, or the `status_code` of requests."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.reason = "reason"
        self.headers = headers or {}


def one_api(message: str, code: str = "BadRequest", **fields: Any) -> dict[str, Any]:
    """A body in Kusto's OneApi form: `message` is generic, `@message` says what happened."""
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

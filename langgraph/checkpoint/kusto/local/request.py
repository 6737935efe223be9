"""What a query or management request asks for.

Lives here: reading the JSON body and the request properties. Does not live here: HTTP (`app`) and
carrying the request out (`cluster`).

Sources: `data-explorer/kusto/api/rest/request.md` and `request-properties.md`. Unknown options are
ignored, as the service ignores them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .clock import TICKS_PER_SECOND
from .cursor import as_bool
from .errors import ServiceError, bad_request
from .kql import values as kql_values
from .text import tokens

DEFAULT_QUERY_SECONDS = 240.0
DEFAULT_MANAGEMENT_SECONDS = 600.0
MAX_SECONDS = 3600.0
MAX_RECORDS = 500_000
MAX_RESULT_BYTES = 64 * 1024 * 1024
PLACEMENTS = ("in_data", "end_of_table", "end_of_dataset")
_READ_ONLY = ("request_readonly", "request_readonly_hardline")
_SET_OPTIONS = re.compile(r"\s*set\b")


@dataclass(frozen=True)
class RequestIds:
    """The identifiers a response carries."""

    client_request_id: str
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> RequestIds:
        """Return the identifiers for a request: the client's, or a new one."""
        given = headers.get("x-ms-client-request-id")
        return cls(given or f"unspecified;{uuid.uuid4()}")


@dataclass(frozen=True)
class QueryRequest:
    """A query or a management command with its properties."""

    database: str
    text: str
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def read_only(self) -> bool:
        """Whether the caller forbids the request to change anything."""
        return any(as_bool(self.options.get(name)) for name in _READ_ONLY)

    @property
    def placement(self) -> str:
        """Where errors found after the start are reported."""
        asked = str(self.options.get("results_error_reporting_placement") or "in_data")
        return asked if asked in PLACEMENTS else "in_data"

    @property
    def deferred(self) -> bool:
        """Whether such errors are reported as a status row only."""
        return as_bool(self.options.get("deferpartialqueryfailures"))

    def seconds(self, default: float) -> float:
        """Return how long the request may run.

        Raises:
            ServiceError: `servertimeout` is not a timespan.
        """
        if as_bool(self.options.get("norequesttimeout")):
            return MAX_SECONDS
        asked = self.options.get("servertimeout")
        if asked is None:
            return default
        ticks = kql_values.parse_timespan(str(asked))
        if ticks is None or ticks <= 0:
            raise bad_request(f"The option servertimeout is not a timespan: '{asked}'.")
        return min(ticks / TICKS_PER_SECOND, MAX_SECONDS)

    def limits(self) -> tuple[int | None, int | None]:
        """Return how many records and bytes a result may have; None is without bound.

        `notruncation` does nothing when one of the limits is set, and of a limit that is set twice
        the lower one counts (`data-explorer/kusto/concepts/query-limits.md`).
        """
        records = self._lowest("truncationmaxrecords")
        size = self._lowest("truncationmaxsize")
        limited = records is not None or size is not None or self.take() is not None
        if not limited and any(as_bool(value) for value in self._given("notruncation")):
            return None, None
        return (
            MAX_RECORDS if records is None else records,
            MAX_RESULT_BYTES if size is None else size,
        )

    def take(self) -> int | None:
        """Return how many records to return at most, the rest silently left out."""
        return self._lowest("query_take_max_records")

    def _lowest(self, name: str) -> int | None:
        numbers = (_number(value) for value in self._given(name))
        return min((number for number in numbers if number is not None), default=None)

    def _given(self, name: str) -> list[Any]:
        """Return the values of an option: the one sent, and those that the text sets."""
        sent = [self.options[name]] if name in self.options else []
        return sent + [value for each, value in _set_options(self.text) if each == name]


def parse_body(body: bytes, default_database: str) -> QueryRequest:
    """Return the request in a JSON body.

    Raises:
        ServiceError: the body is not what the REST documents describe.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The request body is not valid JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("csl"), str):
        raise bad_request("The request body must be a JSON object with a string property 'csl'.")
    properties = _properties(data.get("properties"))
    database = data.get("db")
    if database is not None and not isinstance(database, str):
        raise bad_request("The property 'db' of the request body must be a string.")
    return QueryRequest(
        database=database or default_database,
        text=data["csl"],
        parameters=_bag(properties, "Parameters"),
        options=_bag(properties, "Options"),
    )


def _properties(given: Any) -> dict[str, Any]:
    """Return the request properties, sent as an object or as JSON in a string."""
    if isinstance(given, str):
        try:
            given = orjson.loads(given) if given else None
        except orjson.JSONDecodeError as error:
            raise bad_request(f"The request properties are not valid JSON: {error}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise bad_request("The request properties must be a JSON object.")
    return given


def _bag(properties: dict[str, Any], name: str) -> dict[str, Any]:
    bag = properties.get(name)
    if bag is None:
        return {}
    if not isinstance(bag, dict):
        raise bad_request(f"The request property '{name}' must be a JSON object.")
    return bag


def _set_options(text: str) -> list[tuple[str, Any]]:
    """Return the options of the `set name[=value];` statements that begin a query."""
    if not _SET_OPTIONS.match(text):
        return []
    found: list[tuple[str, Any]] = []
    words: list[str] = []
    try:
        for token in tokens(text):
            if token.text != ";":
                words.append(token.value)
                continue
            if not words or words[0] != "set":
                break
            found.append((words[1], words[3] if len(words) == 4 else True))
            words = []
    except (ServiceError, IndexError):
        return found  # the engine reports what is wrong with the text
    return found


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None

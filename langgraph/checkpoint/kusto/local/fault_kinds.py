"""What can go wrong on demand, and which settings each kind of trouble takes.

Lives here: the kinds, the checks of their settings, the errors they answer with, the distributions
of latency. Does not live here: which requests meet a fault (`faults`), the command line's wording
(`fault_specs`), and making it happen in HTTP (`exchange`, `app`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import errors
from .errors import ServiceError

ENDPOINTS = ("query", "mgmt", "ingest")
STATUSES = (400, 401, 403, 404, 413, 429, 500, 503, 504, 520)
MOMENTS = ("before", "after")
PLACES = ("rows", "status", "completion")
ANSWERS = ("error", "lost", "ok")
DISTRIBUTIONS = ("fixed", "uniform", "exponential", "pareto")
# Of `pareto`: a mean exists, a variance does not.
TAIL = 1.5


@dataclass(frozen=True)
class Kind:
    """A kind of fault: for which endpoints it is, and its settings beside the common ones.

    `main` is the setting that the command line writes behind a colon.
    """

    endpoints: tuple[str, ...]
    settings: tuple[str, ...] = ()
    main: str | None = None


COMMON = ("endpoint", "table", "times", "probability", "spare_repeats")
KINDS: dict[str, Kind] = {
    "status": Kind(ENDPOINTS, ("status", "when", "permanent", "retry_after"), "status"),
    "latency": Kind(ENDPOINTS, ("seconds", "distribution", "when"), "seconds"),
    "stall": Kind(ENDPOINTS, ("when",)),
    "reset": Kind(ENDPOINTS, ("when",), "when"),
    "cut": Kind(ENDPOINTS),
    "prefix": Kind(
        ("ingest", "mgmt"), ("rows", "answer", "status", "permanent", "retry_after"), main="rows"
    ),
    "duplicate": Kind(("ingest", "mgmt")),
    "partial": Kind(("query", "mgmt"), ("place", "status", "permanent"), "place"),
    "script": Kind(("mgmt",), ("commands", "status", "permanent"), "commands"),
    "disk_full": Kind(("ingest", "mgmt")),
    "hide": Kind(("query",), ("seconds",), "seconds"),
}
ACTIONS = tuple(KINDS)
DEFAULTS: Mapping[str, Any] = {
    "endpoint": None,
    "table": None,
    "times": 1,
    "probability": 1.0,
    "spare_repeats": False,
    "when": "before",
    "status": None,
    "seconds": 0.0,
    "distribution": "fixed",
    "rows": 1,
    "answer": "error",
    "place": None,
    "commands": 0,
    "permanent": None,
    "retry_after": None,
}
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "endpoint": (None, *ENDPOINTS),
    "when": MOMENTS,
    "status": (None, *STATUSES),
    "distribution": DISTRIBUTIONS,
    "answer": ANSWERS,
    "place": (None, *PLACES),
    "permanent": (None, True, False),
    "spare_repeats": (True, False),
}


def settings_of(action: str) -> tuple[str, ...]:
    """Return the names of the settings a kind of fault takes.

    Raises:
        ValueError: there is no such kind.
    """
    if action not in KINDS:
        raise ValueError(f"a fault is one of {', '.join(ACTIONS)}, not {action!r}")
    return KINDS[action].settings + COMMON


def check(action: str, given: Mapping[str, Any]) -> None:
    """Refuse settings that a kind of fault does not take, or values they cannot have.

    Raises:
        ValueError: the message names the choices.
    """
    taken = settings_of(action)
    for name, value in given.items():
        if name not in taken and value != DEFAULTS[name]:
            raise ValueError(f"a {action} fault takes {', '.join(taken)}, not {name}")
        choices = _CHOICES.get(name)
        if choices is not None and value not in choices:
            shown = ", ".join(str(choice) for choice in choices if choice is not None)
            raise ValueError(f"{name} is one of {shown}, not {value!r}")
    endpoint = given["endpoint"]
    if endpoint is not None and endpoint not in KINDS[action].endpoints:
        allowed = " or ".join(KINDS[action].endpoints)
        raise ValueError(f"a {action} fault is for {allowed}, not {endpoint}")
    if action == "hide" and given["table"] is None:
        raise ValueError("a hide fault needs table=: the table or view whose rows it hides")
    _check_numbers(given)


def _check_numbers(given: Mapping[str, Any]) -> None:
    for name in ("times", "rows", "commands"):
        value = given[name]
        if value is not None and not (type(value) is int and value >= 0):
            raise ValueError(f"{name} is a whole number from 0, not {value!r}")
    for name in ("seconds", "retry_after"):
        value = given[name]
        if value is not None and not (_is_number(value) and value >= 0):
            raise ValueError(f"{name} is a number of seconds from 0, not {value!r}")
    if not (_is_number(given["probability"]) and 0 <= given["probability"] <= 1):
        raise ValueError(f"probability is a number from 0 to 1, not {given['probability']!r}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def drawn_seconds(chance: random.Random, distribution: str, seconds: float) -> float:
    """Return how long a request waits: `seconds` itself, its upper bound, its mean, or its least.

    `fixed` is always `seconds`, `uniform` anything up to it, `exponential` has it for its mean, and
    `pareto` for its least, with a long tail: one request in a thousand waits a hundred times that.
    """
    if distribution == "uniform":
        return chance.uniform(0.0, seconds)
    if distribution == "exponential":
        return chance.expovariate(1.0 / seconds) if seconds else 0.0
    if distribution == "pareto":
        return seconds * chance.paretovariate(TAIL)
    return seconds


def error_of(status: int, path: str) -> ServiceError:
    """Return the error Kusto answers with a status."""
    made: Callable[[], ServiceError] | None = {
        400: lambda: errors.bad_request("An injected fault."),
        401: errors.unauthorized,
        403: lambda: errors.forbidden("injected fault", "Database Admin"),
        404: lambda: errors.not_found(path),
        413: lambda: errors.streaming_too_large("local", "fault", 0, 0),
        504: lambda: errors.timed_out(0),
        520: lambda: errors.internal("An injected fault."),
    }.get(status)
    if made is not None:
        return made()
    code, type_, message = {
        429: (
            "TooManyRequests",
            "KustoRequestThrottledException",
            "The request was aborted due to throttling. Retrying after some backoff might succeed.",
        ),
        503: (
            "ServiceUnavailable",
            "KustoServiceException",
            "The service is temporarily unavailable.",
        ),
    }.get(
        status,
        ("General_InternalServerError", "KustoServiceException", "Internal service error."),
    )
    return ServiceError(
        status, code, errors.DATA_EXCEPTIONS + type_, message, message=message, permanent=False
    )

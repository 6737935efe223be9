"""Faults that cannot be: which settings a kind takes, and which values they have."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.fault_kinds import ACTIONS, COMMON, DEFAULTS, KINDS
from langgraph.checkpoint.kusto.local.faults import Faults

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"action": "explode"}, "a fault is one of status, latency, stall, reset, cut, prefix, dup"),
    ({"status": 999}, "status is one of 400, 401, 403, 404, 413, 429, 500, 503, 504, 520, not 999"),
    ({"when": "during"}, "when is one of before, after, not 'during'"),
    ({"endpoint": "blob"}, "endpoint is one of query, mgmt, ingest, not 'blob'"),
    ({"permanent": "yes"}, "permanent is one of True, False, not 'yes'"),
    ({"seconds": 1}, "a status fault takes status, when, permanent, retry_after, endpoint, table"),
    ({"action": "stall", "status": 429}, "a stall fault takes when, endpoint, table, times, prob"),
    ({"action": "prefix", "endpoint": "query"}, "a prefix fault is for ingest or mgmt, not query"),
    ({"action": "partial", "endpoint": "ingest"}, "a partial fault is for query or mgmt, not in"),
    ({"action": "partial", "place": "header"}, "place is one of rows, status, completion, not"),
    ({"action": "prefix", "answer": "maybe"}, "answer is one of error, lost, ok, not 'maybe'"),
    ({"action": "latency", "distribution": "normal"}, "one of fixed, uniform, exponential, pareto"),
    ({"action": "hide", "seconds": 1}, "a hide fault needs table=: the table or view"),
    ({"times": -1}, "times is a whole number from 0, not -1"),
    ({"times": 1.5}, "times is a whole number from 0, not 1.5"),
    ({"action": "prefix", "rows": True}, "rows is a whole number from 0, not True"),
    ({"action": "script", "commands": "2"}, "commands is a whole number from 0, not '2'"),
    ({"action": "latency", "seconds": -1}, "seconds is a number of seconds from 0, not -1"),
    ({"action": "latency", "seconds": math.inf}, "seconds is a number of seconds from 0, not inf"),
    ({"retry_after": "soon"}, "retry_after is a number of seconds from 0, not 'soon'"),
    ({"probability": 1.1}, "probability is a number from 0 to 1, not 1.1"),
    ({"probability": math.nan}, "probability is a number from 0 to 1, not nan"),
    ({"probability": "often"}, "probability is a number from 0 to 1, not 'often'"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_wrong_faults_are_refused(wrong: dict[str, Any], message: str) -> None:
    faults = Faults(None)
    with pytest.raises(ValueError) as refused:
        faults.add(**{"action": "status", **wrong})
    assert message in str(refused.value)
    assert repr(faults) == "Faults([])"


def test_the_keywords_of_add_are_the_settings() -> None:
    parameters = dict(inspect.signature(Faults.add).parameters)
    del parameters["self"], parameters["action"]
    assert {name: parameter.default for name, parameter in parameters.items()} == DEFAULTS
    taken = {*COMMON, *(name for kind in KINDS.values() for name in kind.settings)}
    assert taken == set(DEFAULTS)
    assert all(kind.main is None or kind.main in kind.settings for kind in KINDS.values())


def test_each_kind_is_explained() -> None:
    text = inspect.getdoc(Faults.add) or ""
    assert all(f"`{action}`" in text for action in ACTIONS)
    assert all(f"{name}: " in text for name in DEFAULTS)

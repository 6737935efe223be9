"""Faults as texts of the command line: what they say, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.fault_kinds import ACTIONS
from langgraph.checkpoint.kusto.local.fault_specs import FORM, parse_fault
from langgraph.checkpoint.kusto.local.faults import Faults

RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("stall", {"times": None}),
    ("status:503", {"times": None, "status": 503}),
    (
        "status:429,endpoint=ingest,probability=0.05,retry_after=2",
        {"status": 429, "endpoint": "ingest", "probability": 0.05, "retry_after": 2.0},
    ),
    ("status,permanent=true,times=3", {"permanent": True, "times": 3}),
    (
        " latency : 0.1 , distribution = pareto ",
        {"times": None, "seconds": 0.1, "distribution": "pareto"},
    ),
    ("reset:after", {"when": "after"}),
    ("prefix:none,answer=lost,table=T", {"rows": None, "answer": "lost", "table": "T"}),
    ("prefix:2", {"rows": 2}),
    ("partial:completion,status=520", {"place": "completion", "status": 520}),
    ("script:4", {"commands": 4}),
    ("hide:5,table=My Table", {"seconds": 5.0, "table": "My Table"}),
    ("duplicate,spare_repeats=true", {"spare_repeats": True}),
    ("disk_full,endpoint=None", {"endpoint": None}),
    ("cut", {"times": None}),
]


@pytest.mark.parametrize(("text", "settings"), RIGHT)
def test_a_text_is_a_fault(text: str, settings: dict[str, Any]) -> None:
    found = parse_fault(text)
    assert found.items() >= settings.items()
    assert set(found) == {"action", "times", *settings}
    fault = Faults(None).add(**found)
    assert fault.left == settings.get("times")


def test_every_action_can_be_said() -> None:
    assert {text.split(",")[0].split(":")[0].strip() for text, _ in RIGHT} == set(ACTIONS)
    assert all(action in FORM for action in ACTIONS)


WRONG = [
    ("", "a fault is one of status, latency, stall, reset, cut, prefix, duplicate, partial, scri"),
    ("explode", "a fault is one of status, latency"),
    ("status 503", "a fault is one of status, latency"),
    ("status:999", "status is one of 400, 401,"),
    ("status:soon", "status is a whole number, not 'soon'"),
    ("status:", "status has no value"),
    ("status,probability", "'probability' is no setting of status; it takes status, when,"),
    ("status,", "'' is no setting of status; it takes status, when, permanent, retry_after"),
    ("status,propability=1", "'propability=1' is no setting of status; it takes status, when,"),
    ("status,seconds=1", "'seconds=1' is no setting of status; it takes"),
    ("status:503,status=429", "status is given twice in 'status:503,status=429'"),
    ("status,times=1,times=2", "times is given twice"),
    ("status,probability=often", "probability is a number, not 'often'"),
    ("status,probability=2", "probability is a number from 0 to 1, not 2.0"),
    ("status,probability=", "probability has no value"),
    ("status,probability=nan", "probability is a number from 0 to 1, not nan"),
    ("cut:3", "cut takes no value behind a colon, but endpoint, table, times,"),
    ("latency:-1", "seconds is a number of seconds from 0, not -1.0"),
    ("prefix:1.5", "rows is a whole number, not '1.5'"),
    ("prefix,endpoint=query", "a prefix fault is for ingest or mgmt, not query"),
    ("prefix,permanent=perhaps", "permanent is one of True, False, not 'perhaps'"),
    ("hide:5", "a hide fault needs table="),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_no_fault(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_fault(text)
    assert message in str(refused.value)

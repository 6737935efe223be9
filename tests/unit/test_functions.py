"""The stored functions: their names, their commands, and what stands in one place only.

What they answer is tested in `tests/integration/test_kql_functions.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from langgraph.checkpoint.kusto import _schema
from langgraph.checkpoint.kusto._functions import FUNCTIONS, StoredFunction

ROOT = Path(__file__).parents[2]


def test_the_names_are_fixed() -> None:
    names = [
        "Deletions",
        "LiveCheckpoints",
        "LivePendingWrites",
        "ThreadTimeline",
        "FailedTasks",
        "StepDurations",
        "StorageByThread",
    ]

    assert [function.name for function in FUNCTIONS] == names
    assert tuple(names) == _schema.FUNCTIONS


def test_provision_kql_has_them_word_for_word() -> None:
    script = (ROOT / "provision.kql").read_text(encoding="utf-8")

    assert re.findall(r"^\.create-or-alter function .*\n(?: .*\n)*\}", script, re.M) == [
        function.command for function in FUNCTIONS
    ]


def test_a_function_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        FUNCTIONS[0].name = "Other"  # type: ignore[misc]


def test_the_command_of_a_function() -> None:
    function = StoredFunction("Name", "a:string", "What it tells", "    T | where b == a\n")

    assert function.command == (
        ".create-or-alter function with (folder='langgraph', docstring='What it tells')"
        " Name(a:string) {\n    T | where b == a\n}"
    )


def test_each_is_created_and_none_before_those_it_uses() -> None:
    assert list(_schema.create_functions()) == [function.command for function in FUNCTIONS]
    known: set[str] = set()
    for function in FUNCTIONS:
        used = set(re.findall(r"\b([A-Z]\w+)\(", function.body))
        assert used <= known, function.name
        known.add(function.name)


def test_only_one_function_knows_what_is_deleted() -> None:
    knowing = [function.name for function in FUNCTIONS if "Tombstones" in function.body]

    assert knowing == ["Deletions"]


def test_no_function_returns_payload() -> None:
    payload = [
        column.name
        for table in _schema.TABLES
        for column in table.columns
        if column.name == "data" or column.name.endswith("_data")
    ]

    assert len(payload) == 5
    for function in FUNCTIONS:
        assert not set(payload) & set(re.findall(r"\w+", function.body)), function.name

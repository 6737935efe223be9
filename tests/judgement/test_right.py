"""Right queries: Microsoft's binder accepts each, and the local server's results are as computed
by hand, whatever it does where Kusto leaves the choice open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .database import Server, running_server
from .right_queries import RIGHT
from .right_values import Right


@pytest.fixture(scope="module", params=[None, 1, 2])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running_server(request.param) as server:
        yield server


def test_there_are_enough() -> None:
    assert len(RIGHT) >= 60


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.name)
def test_the_binder_accepts_it(verdicts: dict[str, set[str]], right: Right) -> None:
    assert right.name not in verdicts


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.name)
def test_the_server_finds_the_same(server: Server, right: Right) -> None:
    found = server.ask(right.text, right.parameters)

    assert [comparable(rows, right) for rows in found] == [
        comparable(rows, right) for rows in right.results
    ]


def comparable(rows: list[list[Any]], right: Right) -> list[str]:
    """As JSON text, which tells 1 from 1.0 and from true; sorted where the order is open."""
    texts = [json.dumps(row, sort_keys=True) for row in rows]
    return texts if right.in_order else sorted(texts)

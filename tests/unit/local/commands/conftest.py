"""Fixtures of the tests of commands: a table, a table with rows, and what must be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError


@pytest.fixture
def table(bench: Any) -> Any:
    """A database with an empty table that has a folder and a text."""
    bench.run(".create table T (a:string, b:long) with (docstring='doc', folder='dir')")
    return bench


@pytest.fixture
def filled(bench: Any) -> Any:
    """A database with a table of three rows."""
    bench.run(".create table T (a:string, b:long, c:string)")
    bench.run(".ingest inline into table T <|\nx,1,one\nx,2,two\ny,5,five")
    return bench


@pytest.fixture
def refuses(table: Any) -> Callable[[str, str], None]:
    """Assert that a command is refused for good, for a reason, and changes nothing."""

    def refuses(command: str, problem: str) -> None:
        before = table.cluster.catalog.database("Db")
        with pytest.raises(ServiceError, match=problem) as caught:
            table.run(command)
        assert caught.value.status == 400
        assert caught.value.permanent
        assert table.cluster.catalog.database("Db") is before

    return refuses

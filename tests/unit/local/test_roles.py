"""Roles: which operations each principal role may do, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import LocalKustoError, ServiceError
from langgraph.checkpoint.kusto.local.roles import checked_roles

COMMANDS = {
    "query": None,
    "ingest": None,
    "create": ".create table N (a:string)",
    "merge": ".create-merge table T (z:string)",
    "function": ".create-or-alter function G() { 1 }",
    "mapping": ".create-or-alter table T ingestion json mapping 'M' "
    '\'[{"column":"a","Properties":{"Path":"$.a"}}]\'',
    "retention": ".alter-merge table T policy retention softdelete = 3d",
    "partitioning": ".delete table T policy partitioning",
    "view": ".create ifnotexists materialized-view V on table T { T | summarize count() by a }",
    "delete": ".delete table T records <| T | where a == 'x'",
    "script": ".execute database script <| .show tables",
    "cache": ".clear database cache streamingingestion schema",
    "show": ".show tables",
    "databases": ".show databases",
    "version": ".show version",
    "principals": ".show principal roles",
}
ALLOWED = {
    "admin": set(COMMANDS),
    "user": {"query", "create", "function", "show", "version", "principals"},
    "viewer": {"query", "show", "version", "principals"},
    "ingestor": {"ingest", "mapping", "cache", "version", "principals"},
    "monitor": {"show", "databases", "version", "principals"},
}


def attempt(bench: Any, name: str) -> ServiceError | None:
    """Try an operation; return the error that refused it for lack of a role."""
    try:
        if name == "query":
            bench.query("T")
        elif name == "ingest":
            bench.ingest("T", '{"a":"x"}')
        else:
            bench.run(COMMANDS[name])
    except ServiceError as error:
        if error.status != 403:
            raise
        return error
    return None


@pytest.mark.parametrize("role", list(ALLOWED))
def test_what_a_role_may_do(make_bench: Callable[..., Any], role: str) -> None:
    admin = make_bench()
    admin.run(".create table T (a:string)")
    admin.run(".alter table T policy streamingingestion enable")
    admin.cluster.close()
    bench = make_bench(roles=frozenset({role}))
    refusals = {name: attempt(bench, name) for name in COMMANDS}
    assert {name for name, error in refusals.items() if error is None} == ALLOWED[role]
    for error in refusals.values():
        assert error is None or (error.code, error.type, error.permanent) == (
            "Forbidden",
            "Kusto.Data.Exceptions.KustoRequestDeniedException",
            True,
        )


def test_the_runtime_of_the_saver_needs_viewer_and_ingestor(
    make_bench: Callable[..., Any],
) -> None:
    admin = make_bench()
    admin.run(".create table T (a:string)")
    admin.run(".alter table T policy streamingingestion enable")
    admin.cluster.close()
    bench = make_bench(roles=frozenset({"viewer", "ingestor"}))
    bench.ingest("T", '{"a":"x"}')
    assert bench.query("T") == [("x",)]
    refused = attempt(bench, "delete")
    assert refused is not None
    assert "is not authorized to perform operation 'TableDeleteRecords'" in refused.detail


def test_roles_are_checked_when_the_server_is_made() -> None:
    assert checked_roles(None) == {"admin"}
    assert checked_roles({"viewer"}) == {"viewer"}
    with pytest.raises(
        LocalKustoError, match=r"unknown roles \['owner'\]; the roles are admin, user"
    ):
        checked_roles({"owner"})
    with pytest.raises(LocalKustoError, match="allows nothing"):
        checked_roles(set())

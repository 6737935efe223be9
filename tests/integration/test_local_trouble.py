"""A local server whose clock is set forward, and one with trouble by seed, over HTTP."""

from __future__ import annotations

import pytest
from azure.kusto.data import KustoClient as SyncKustoClient
from azure.kusto.data.exceptions import KustoApiError

from langgraph.checkpoint.kusto.local import LocalKusto

pytestmark = pytest.mark.local_only


def test_a_server_whose_clock_is_set_forward_applies_retention() -> None:
    with LocalKusto(database="Own") as local, SyncKustoClient(local.url) as sdk:
        for command in (
            ".create table T (a:string)",
            ".alter-merge table T policy retention softdelete = 10d",
            ".ingest inline into table T <| x",
        ):
            sdk.execute_mgmt("Own", command)

        def count() -> int:
            return int(sdk.execute_query("Own", "T | count").primary_results[0][0]["Count"])

        assert (local.advance(9), count()) == (0, 1)
        assert (local.advance(1.5), count()) == (1, 0)


def test_turbulence_fails_requests_that_may_be_sent_again() -> None:
    failures = []
    with LocalKusto(seed=2, turbulence=True) as local, SyncKustoClient(local.url) as sdk:
        for number in range(200):
            try:
                sdk.execute_query(local.database, f"print x = {number}")
            except KustoApiError as error:
                failures.append(error.get_api_error())
    assert 1 <= len(failures) <= 20
    assert not any(failure.permanent for failure in failures)

"""Requests: bodies, properties, limits, timeouts and ids, as clients send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError
from langgraph.checkpoint.kusto.local.request import QueryRequest, RequestIds, parse_body


def body(**data: Any) -> bytes:
    return json.dumps(data).encode()


@pytest.mark.parametrize("as_text", [True, False])
def test_properties_are_an_object_or_json_text(as_text: bool) -> None:
    properties: Any = {
        "Options": {"queryconsistency": "strongconsistency"},
        "Parameters": {"x": "1"},
        "ClientRequestId": "c",
    }
    sent = json.dumps(properties) if as_text else properties
    parsed = parse_body(body(db="D", csl="T", properties=sent), "Default")
    assert (parsed.database, parsed.text) == ("D", "T")
    assert parsed.parameters == {"x": "1"}
    assert parsed.options == {"queryconsistency": "strongconsistency"}


def test_the_database_may_be_left_out() -> None:
    assert parse_body(body(csl="T"), "Default").database == "Default"
    assert parse_body(body(csl="T", db=None), "Default").database == "Default"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object with a string property 'csl'"),
        (b'{"db":"D"}', "must be a JSON object with a string property 'csl'"),
        (b'{"csl":"T","db":5}', "'db'"),
        (b'{"csl":"T","properties":"{"}', "properties are not valid JSON"),
        (b'{"csl":"T","properties":[]}', "properties must be a JSON object"),
        (b'{"csl":"T","properties":{"Options":5}}', "'Options' must be a JSON object"),
    ],
)
def test_wrong_bodies_are_refused(sent: bytes, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem) as caught:
        parse_body(sent, "Default")
    assert caught.value.status == 400


def request(text: str = "T", **options: Any) -> QueryRequest:
    return QueryRequest("D", text, {}, options)


def test_limits() -> None:
    assert request().limits() == (500_000, 67_108_864)
    assert request(notruncation=True).limits() == (None, None)
    assert request(notruncation=True, truncationmaxrecords=7).limits() == (7, 67_108_864)
    assert request(truncationmaxsize="100").limits() == (500_000, 100)
    assert request("set notruncation; T").limits() == (None, None)
    assert request("set truncationmaxrecords = 5;\nset x; T").limits() == (5, 67_108_864)
    assert request("settings | take 1").limits() == (500_000, 67_108_864)


def test_of_a_limit_that_is_set_twice_the_lower_one_counts() -> None:
    low, high = "set truncationmaxrecords = 5; ", "set truncationmaxrecords = 9; "
    for text in (low + high + "T", high + low + "T"):
        assert request(text).limits() == (5, 67_108_864)
    assert request(high + "T", truncationmaxrecords=7).limits() == (7, 67_108_864)
    assert request(low + "T", truncationmaxrecords=7).limits() == (5, 67_108_864)
    assert request("set query_take_max_records=3; T", query_take_max_records=2).take() == 2
    assert request("set query_take_max_records=3; T", notruncation=True).limits()[0] == 500_000


def test_timeouts() -> None:
    assert request().seconds(240.0) == 240.0
    assert request(servertimeout="00:00:30").seconds(240.0) == 30.0
    assert request(servertimeout="2h").seconds(240.0) == 3600.0
    assert request(norequesttimeout=True).seconds(240.0) == 3600.0
    with pytest.raises(ServiceError, match="servertimeout"):
        request(servertimeout="soon").seconds(1.0)


def test_other_options() -> None:
    assert request(results_error_reporting_placement="end_of_dataset").placement == "end_of_dataset"
    assert request(results_error_reporting_placement="nowhere").placement == "in_data"
    assert request(deferpartialqueryfailures="true").deferred
    assert request(request_readonly=True).read_only
    assert request(query_take_max_records=3).take() == 3
    assert request().take() is None


def test_the_clients_request_id_is_kept_or_made() -> None:
    assert RequestIds.of({"x-ms-client-request-id": "mine"}).client_request_id == "mine"
    made = RequestIds.of({}), RequestIds.of({})
    assert made[0].client_request_id != made[1].client_request_id
    assert made[0].activity_id != made[1].activity_id

"""Commands that store, show, alter and drop functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_a_function_is_stored_shown_and_used(filled: Any) -> None:
    row = filled.run(
        ".create-or-alter function with (folder='f', docstring='d') "
        "Above(low:long, name:string='x') {\n  T | where a == name and b > low // } \n}"
    )[0]
    assert row == {
        "Name": "Above",
        "Parameters": "(low:long, name:string='x')",
        "Body": "{\n  T | where a == name and b > low // } \n}",
        "Folder": "f",
        "DocString": "d",
    }
    assert filled.run(".show function Above") == [row]
    assert filled.query("Above(1)") == [("x", 2, "two")]
    assert filled.run(".drop function Above") == []
    filled.run(".drop function Above ifexists")
    with pytest.raises(ServiceError, match="Entity ID 'Above' of kind 'Function' was not found"):
        filled.run(".drop function Above")


def test_a_function_is_bound_when_it_is_stored(filled: Any) -> None:
    with pytest.raises(ServiceError, match="SEM0100"):
        filled.run(".create function F() { Missing | take 1 }")
    assert filled.run(".show functions") == []
    filled.run(".create function with (skipvalidation='true') F() { Missing | take 1 }")
    with pytest.raises(ServiceError):
        filled.query("F()")


def test_creating_a_function_again(filled: Any) -> None:
    filled.run(".create function F() { 1 }")
    with pytest.raises(ServiceError, match="already exists"):
        filled.run(".create function F() { 2 }")
    assert filled.run(".create function ifnotexists F() { 2 }")[0]["Body"] == "{ 1 }"
    assert filled.run(".alter function F() { 3 }")[0]["Body"] == "{ 3 }"
    assert filled.run(".alter function F docstring 'text'")[0]["DocString"] == "text"
    assert filled.query("print x = F()") == [(3,)]


def test_the_schema_as_json_describes_functions(filled: Any) -> None:
    filled.run(".create function F(t:(a:string), name:string, low:long=5) { t | take 1 }")
    text = filled.run(".show database schema as json")[0]["DatabaseSchema"]
    function = json.loads(text)["Databases"]["Db"]["Functions"]["F"]
    assert function["InputParameters"] == [
        {"Name": "t"},
        {"Name": "name", "Type": "System.String", "CslType": "string"},
        {"Name": "low", "Type": "System.Int64", "CslType": "long"},
    ]

"""Values of every kind come back as they were, in LangGraph's bytes where those are exact."""

from __future__ import annotations

import collections
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt, Send
from pydantic import RootModel
from shared import exact_values
from shared.exact_values import (
    VALUES,
    Account,
    Colour,
    Point,
    Row,
    differences,
    numpy_values,
    pydantic_1_values,
)

from langgraph.checkpoint.kusto import ExactSerializer

ALL = {**VALUES, **pydantic_1_values()}


class Ages(RootModel[dict[str, int]]): ...


ORDINARY: dict[str, Any] = {
    "root model": Ages({"a": 1}),
    "a deque of the user's": exact_values.Recent([1]),
    "a set of the user's": exact_values.Basket([1]),
    "text": "plain ☃",
    "numbers": [0, -1, 2**64 - 1, 0.1, -0.0, True, None],
    "nested": {"a": [{"b": []}, {}], "": None},
    "keys": {1: "a", None: "b", 2.5: {b"k": 1}, (1, "x"): [2]},
    "bytes": [b"\xc4\xc5\xc6", {"k": b""}],
    "top bytes": b"raw",
    "top bytearray": bytearray(b"raw"),
    "nothing": None,
    "datetimes": [datetime(2026, 1, 2, tzinfo=timezone.utc), datetime(2026, 1, 2)],
    "offset": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    "scalars": [VALUES["uuid"], Decimal("1.10"), timedelta(1), *VALUES["times"], *VALUES["dates"]],
    "zones": VALUES["zones"],
    "addresses": VALUES["addresses"],
    "sets": [{1}, frozenset({"a"}), collections.deque([1])],
    "enums": [Colour.RED, exact_values.Level.LOW],
    "path": VALUES["paths"][0],
    "pattern": VALUES["patterns"][0],
    "named tuple": Row("a", []),  # type: ignore[arg-type]
    "model": Account(name="a", balance=Decimal("0.30"), tags=["x"]),
    "nested model": exact_values.Box[Account](content=Account(name="a", balance=Decimal("1"))),
    "dataclass": Point(1.0, {"a": [1]}),
    "secret": exact_values.SecretStr("s"),
    "messages": [
        HumanMessage("hello", id="1"),
        AIMessage("", tool_calls=[{"name": "t", "args": {"a": 1.0}, "id": "c"}], id="2"),
        AIMessage("x", response_metadata={"usage": {"n": 1}}, additional_kwargs={"refusal": None}),
        ToolMessage("done", tool_call_id="c", id="3", artifact={"k": [1]}),
    ],
    "document": exact_values.Document("text", metadata={"page": 1}),
    "interrupt": [Interrupt(value="?", id="i"), Send("n", {"a": 1})],
    "delta": exact_values._DeltaSnapshot([1, "a"]),
    "exception": ValueError("x"),
    **{name: item for name, item in pydantic_1_values().items() if name == "pydantic 1 model"},
}


def back(value: Any) -> Any:
    serde = ExactSerializer()
    return serde.loads_typed(serde.dumps_typed(value))


# ---------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize("name", ALL)
def test_a_value_comes_back_as_it_was(name: str) -> None:
    assert list(differences(ALL[name], back(ALL[name]))) == []


@pytest.mark.parametrize("name", ALL)
def test_packing_is_stable(name: str) -> None:
    """What came back is written in the same bytes: nothing drifts from step to step."""
    serde = ExactSerializer()
    written = serde.dumps_typed(ALL[name])
    if name not in ("all empty", "sets", "strange keys"):  # sets have an order of their own
        assert serde.dumps_typed(serde.loads_typed(written)) == written


TEXT = st.text(st.characters(codec=None), max_size=5)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**62, max_value=2**66),
    st.floats(),
    TEXT,
    st.binary(max_size=4),
    st.decimals(),
    st.uuids(),
    st.timedeltas(),
    st.datetimes(timezones=st.none() | st.timezones() | st.just(timezone.utc)),
    st.sampled_from(list(Colour)),
)
KEYS = st.recursive(
    SCALARS.filter(lambda value: not isinstance(value, Decimal) and value == value),
    lambda inner: st.lists(inner, max_size=2).map(tuple) | st.frozensets(inner, max_size=2),
    max_leaves=3,
)
ANYTHING = st.recursive(
    SCALARS | st.binary(max_size=3).map(bytearray),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(collections.deque),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(TEXT, inner, max_size=3).map(collections.OrderedDict),
        st.frozensets(KEYS, max_size=2),
        st.builds(Point, st.floats(), inner),
        st.builds(Row, TEXT, inner),
        st.builds(lambda value: ToolMessage("x", tool_call_id="c", artifact=value), inner),
        st.builds(lambda value: Send("n", value), inner),
        st.builds(exact_values.Open, known=st.integers(), other=inner),
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(ANYTHING)
def test_any_nesting_of_values_comes_back_as_it_was(value: Any) -> None:
    assert list(differences(value, back(value))) == []


@pytest.mark.parametrize("name", list(numpy_values(collections)))  # type: ignore[arg-type]
def test_arrays(name: str) -> None:
    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
    value = numpy_values(numpy)[name]()
    assert list(differences(value, back(value))) == []


# ------------------------------------------------------------------------------- LangGraph's format


@pytest.mark.parametrize("name", ORDINARY)
def test_what_langgraph_keeps_has_langgraphs_bytes(name: str) -> None:
    assert ExactSerializer().dumps_typed(ORDINARY[name]) == JsonPlusSerializer().dumps_typed(
        ORDINARY[name]
    )


@pytest.mark.parametrize("name", sorted(ALL))
def test_langgraphs_own_serializer_reads_what_was_written(name: str) -> None:
    """While it is permissive and this package is installed, as exactly."""
    written = ExactSerializer().dumps_typed(ALL[name])
    found = JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(written)
    assert list(differences(ALL[name], found)) == []

"""`ExactSerializer`: exact, and in LangGraph's format and bytes wherever those are exact."""

from __future__ import annotations

import collections
import logging
import pickle
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt, Send
from shared import exact_values
from shared.exact_values import (
    VALUES,
    Account,
    Colour,
    Point,
    Rate,
    Row,
    Trimmed,
    differences,
    numpy_values,
    pydantic_1_values,
)

from langgraph.checkpoint.kusto import AsyncKustoSaver, ExactSerializer, _losses

ALL = {**VALUES, **pydantic_1_values()}

ORDINARY: dict[str, Any] = {
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
}


def back(value: Any, serde: JsonPlusSerializer | None = None) -> Any:
    serde = serde or ExactSerializer()
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


def test_langgraphs_strict_reader_gets_what_it_got_before() -> None:
    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    value = {"a": (1, ("b",)), "m": [HumanMessage("x", id="1")]}
    written = ExactSerializer().dumps_typed(value)

    assert strict.loads_typed(written) == {"a": [1, ["b"]], "m": [HumanMessage("x", id="1")]}


@pytest.mark.parametrize("name", ["tuples", "sets", "messages", "models", "keys", "buffers"])
def test_what_langgraph_wrote_is_read(name: str) -> None:
    try:
        written = JsonPlusSerializer().dumps_typed(VALUES[name])
    except TypeError:
        written = JsonPlusSerializer().dumps_typed(ORDINARY[name])
    plain = JsonPlusSerializer().loads_typed(written)
    assert list(differences(plain, ExactSerializer().loads_typed(written))) == []


def test_old_json_is_read() -> None:
    assert ExactSerializer().loads_typed(("json", b'{"a": [1, null]}')) == {"a": [1, None]}


# ----------------------------------------------------------------------------------------- allowing


def test_strict_blocks_the_users_classes_and_keeps_the_builtin_ones_exact() -> None:
    strict = ExactSerializer(allowed_msgpack_modules=None)
    value = {
        "tuple": (1, 2**70, "\ud800", bytearray(b"x")),
        "ordered": collections.OrderedDict(a=1),
        "default": collections.defaultdict(list, a=[1]),
        "model": Account(name="a", balance=Decimal("1")),
        "rate": Rate(0.5),
        "enum": Colour.PAIR,
        "trimmed": Trimmed(text="abc"),
    }
    expected = {
        **value,
        "model": {"name": "a", "balance": Decimal("1"), "tags": []},
        "rate": 0.5,
        "enum": (1, (2, 3)),
        "trimmed": {"text": "bc"},
    }
    assert list(differences(expected, back(value, strict))) == []


def test_an_allowlist_is_merged_and_the_clone_stays_exact() -> None:
    strict = ExactSerializer(allowed_msgpack_modules=[Colour])
    clone = strict.with_msgpack_allowlist([Account, (Trimmed.__module__, "Trimmed")])
    value = [Colour.PAIR, Account(name="a", balance=Decimal("1")), Trimmed(text="abc"), (2**70,)]

    assert isinstance(clone, ExactSerializer)
    assert clone is not strict
    assert list(differences(value, back(value, clone))) == []
    assert back(value, strict)[1:3] == [
        {"name": "a", "balance": Decimal("1"), "tags": []},
        {"text": "bc"},
    ]
    assert clone.with_msgpack_allowlist([Account]) is clone


def test_a_permissive_one_needs_no_allowlist() -> None:
    serde = ExactSerializer(allowed_msgpack_modules=True)
    assert serde.with_msgpack_allowlist([Account]) is serde


def test_a_permissive_one_tells_of_a_class_and_not_of_its_own(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_losses, "_warned", set())
    events: list[Any] = []
    stop = register_serde_event_listener(events.append)
    serde = ExactSerializer(allowed_msgpack_modules=True)
    fresh = exact_values.Slotted(((1,), 2**70))
    try:
        with caplog.at_level(logging.WARNING):
            back([fresh, fresh], serde)
    finally:
        stop()

    assert [record.getMessage() for record in caplog.records] == [
        "Deserializing unregistered type shared.exact_values.Slotted from checkpoint. Set"
        " LANGGRAPH_STRICT_MSGPACK=true to block it, or name it in allowed_msgpack_modules"
    ]
    told = {"module": "shared.exact_values", "name": "Slotted"}
    assert events == [{"kind": "msgpack_unregistered_allowed", **told}] * 2


def test_json_constructors_need_to_be_allowed() -> None:
    value = b'{"lc": 2, "type": "constructor", "id": ["collections", "Counter"], "args": ["aab"]}'
    allowed = ExactSerializer(allowed_json_modules=[("collections", "Counter")])
    assert allowed.loads_typed(("json", value)) == {"a": 2, "b": 1}
    assert ExactSerializer().loads_typed(("json", value))["id"] == ["collections", "Counter"]


@pytest.mark.parametrize("value", [exact_values.Stack, range(3), {"a": [range(3)]}])
def test_with_pickle_fallback_what_would_be_refused_is_pickled(value: Any) -> None:
    with pytest.raises(TypeError):
        ExactSerializer().dumps_typed(value)
    serde = ExactSerializer(pickle_fallback=True)
    tag, data = serde.dumps_typed(value)

    assert tag == "pickle"
    assert serde.loads_typed((tag, data)) == value
    with pytest.raises(NotImplementedError, match="pickle"):
        ExactSerializer().loads_typed((tag, data))


def test_with_pickle_fallback_what_is_exact_is_not_pickled() -> None:
    assert ExactSerializer(pickle_fallback=True).dumps_typed((1, 2**70))[0] == "msgpack"


def test_nothing_is_unpickled_by_default() -> None:
    with pytest.raises(NotImplementedError):
        ExactSerializer().loads_typed(("pickle", pickle.dumps(1)))


def test_an_own_hook_is_kept() -> None:
    serde = ExactSerializer(__unpack_ext_hook__=lambda code, data: (code, len(data)))
    assert serde.loads_typed(JsonPlusSerializer().dumps_typed(uuid.UUID(int=1)))[0] == 0


@pytest.mark.parametrize("kind", [ExactSerializer, EncryptedSerializer])
def test_the_savers_clone_keeps_it_exact(kind: Any) -> None:
    """What LangGraph does with a saver when a graph is compiled under strict msgpack."""
    inner = ExactSerializer(allowed_msgpack_modules=None)
    serde: Any = inner if kind is ExactSerializer else EncryptedSerializer(Reversed(), inner)
    saver = BaseCheckpointSaver[str](serde=serde)

    clone = saver.with_allowlist([(Account.__module__, "Account")])

    assert clone.serde is not saver.serde
    value = [(1,), Account(name="a", balance=Decimal("1"))]
    found = clone.serde.loads_typed(clone.serde.dumps_typed(value))
    assert list(differences(value, found)) == []


class Reversed:
    """A cipher for tests."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "reversed", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "reversed"
        return ciphertext[::-1]


def test_it_is_the_savers_default() -> None:
    saver = AsyncKustoSaver("https://name.region.kusto.windows.net", "db", credential="a;b;c")
    assert type(saver.serde) is ExactSerializer
    own = JsonPlusSerializer()
    assert (
        AsyncKustoSaver(
            "https://name.region.kusto.windows.net", "db", credential="a;b;c", serde=own
        ).serde
        is own
    )

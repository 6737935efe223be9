"""`ExactSerializer`: exact, and in LangGraph's format and bytes wherever those are exact."""

from __future__ import annotations

import collections
import logging
import pickle
import sys
import uuid
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from shared import exact_values
from shared.exact_values import (
    VALUES,
    Account,
    Colour,
    Rate,
    Trimmed,
    differences,
    pydantic_1_values,
)

from langgraph.checkpoint.kusto import AsyncKustoSaver, ExactSerializer, _losses

ALL = {**VALUES, **pydantic_1_values()}


def back(value: Any, serde: JsonPlusSerializer | None = None) -> Any:
    serde = serde or ExactSerializer()
    return serde.loads_typed(serde.dumps_typed(value))


# ------------------------------------------------------------------------------- LangGraph's format


def test_langgraphs_strict_reader_gets_what_it_got_before() -> None:
    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    value = {"a": (1, ("b",)), "m": [HumanMessage("x", id="1")]}
    written = ExactSerializer().dumps_typed(value)

    assert strict.loads_typed(written) == {"a": [1, ["b"]], "m": [HumanMessage("x", id="1")]}


@pytest.mark.parametrize("name", ["tuples", "sets", "models", "keys", "document", "delta snapshot"])
def test_what_langgraph_wrote_is_read(name: str) -> None:
    written = JsonPlusSerializer().dumps_typed(VALUES[name])
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


@pytest.mark.parametrize("value", [None, b"", b"raw", bytearray(), bytearray(b"raw")])
def test_alone_they_are_stored_as_langgraph_stores_them(value: Any) -> None:
    written = ExactSerializer().dumps_typed(value)
    assert written == JsonPlusSerializer().dumps_typed(value)
    found = ExactSerializer().loads_typed(written)
    assert (type(found), found) == (type(value), value)


def test_a_class_that_is_gone_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model LangGraph gives the fields, and says nothing."""
    serde = ExactSerializer(allowed_msgpack_modules=True)
    written = serde.dumps_typed([Account(name="a", balance=Decimal("1"))])
    for broken in ("the class", "the module"):
        monkeypatch.setattr(_losses, "_warned", set())
        if broken == "the class":
            monkeypatch.delattr(exact_values, "Account")
        else:
            monkeypatch.setitem(sys.modules, exact_values.__name__, None)  # type: ignore[arg-type]
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger=_losses.__name__):
            found = [serde.loads_typed(written) for _ in range(2)]
        assert found == [[{"name": "a", "balance": Decimal("1"), "tags": []}]] * 2
        assert [record.getMessage() for record in caplog.records][1:] == [
            "values of shared.exact_values.Account are not rebuilt: the class is not found under"
            " that name in its module"
        ]


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

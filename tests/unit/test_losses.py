"""Looks at values: what LangGraph's format would lose of them."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from datetime import datetime
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from shared.exact_values import Checked, Colour, Count, Derived, FrozenPoint, Pair, Point, Words

from langgraph.checkpoint.kusto import _losses
from langgraph.checkpoint.kusto._losses import (
    InexactError,
    check_importable,
    holds_buffer,
    is_plain_dataclass,
    is_plain_key,
    is_unicode,
    keeps_its_fields,
    moment_of,
    plain_copy,
    warn_once,
)


@pytest.mark.parametrize("text", ["", "a", "☃", "\U0001f600", "\x00"])
def test_unicode(text: str) -> None:
    assert is_unicode(text)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "☃\udc00"])
def test_lone_surrogates(text: str) -> None:
    assert not is_unicode(text)


PLAIN = ["", "☃", 0, -(2**63), 2**64 - 1, 1.5, True, None, b"k", (), (1, ("a", None))]
STRANGE = [
    *("\ud800", 2**64, -(2**63) - 1, Words("a"), Count(1), Colour.RED, uuid.UUID(int=1)),
    *((1, 2**64), ((), ("\ud800",)), frozenset(), Pair(1, 2), datetime(2026, 1, 1), 1j),
]


@pytest.mark.parametrize("key", PLAIN, ids=repr)
def test_keys_that_come_back(key: Any) -> None:
    assert is_plain_key(key)


@pytest.mark.parametrize("key", STRANGE, ids=repr)
def test_keys_that_do_not(key: Any) -> None:
    assert not is_plain_key(key)


BUFFER = bytearray(b"x")
WITH = [
    *(BUFFER, memoryview(b"x"), bytearray(), [BUFFER], [1, [2, [BUFFER]]], {"a": BUFFER}),
    *({"a": [1], "b": {"c": [{}, BUFFER]}}, [0] * 100 + [BUFFER], [[]] * 100 + [[BUFFER]]),
    {number: memoryview(b"") for number in range(100)},
]
WITHOUT = [
    *(b"x", "x", 1, None, [], {}, [1, "a", b"b"], {"a": {"b": [None]}}, [0.5] * 100),
    # What `packb` hands over is looked at when it is packed.
    *((BUFFER,), {BUFFER.hex(): 1}, Point(1.0, BUFFER), [(BUFFER,)] * 100),
]


@pytest.mark.parametrize("value", WITH, ids=lambda value: repr(value)[:30])
def test_buffers_are_found(value: Any) -> None:
    assert holds_buffer(value)


@pytest.mark.parametrize("value", WITHOUT, ids=lambda value: repr(value)[:30])
def test_there_is_no_buffer(value: Any) -> None:
    assert not holds_buffer(value)


class Liar(str):
    def __str__(self) -> str:
        return "lie"


class Minus(int):
    def __int__(self) -> int:
        return -1


def test_the_plain_copy_of_a_subclass() -> None:
    for value, builtin, expected in (
        (Liar("truth"), str, "truth"),
        (Minus(5), int, 5),
        (Pair(1, 2), tuple, [1, 2]),
        ({"a": 1}, dict, {"a": 1}),
    ):
        found = plain_copy(value, builtin)
        assert found == expected
        assert type(found) is type(expected)


def test_the_keywords_of_a_moment() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, fold=1)
    assert moment_of(moment) == {
        "year": 2026,
        "month": 1,
        "day": 2,
        "hour": 3,
        "minute": 4,
        "second": 5,
        "microsecond": 6,
        "tzinfo": None,
        "fold": 1,
    }


def message(**changed: Any) -> AIMessage:
    call = {"name": "t", "args": {}, "id": "c"}
    value = AIMessage("x", tool_calls=[call], additional_kwargs={"tool_calls": []}, id="1")
    for name, item in changed.items():
        setattr(value, name, item)
    return value


def test_messages_that_keep_their_fields() -> None:
    assert keeps_its_fields(message(), AIMessage)
    assert keeps_its_fields(message(tool_calls=[], additional_kwargs={}), AIMessage)
    assert keeps_its_fields(HumanMessage([{"type": "text", "text": "x"}]), HumanMessage)
    for changed in (
        {"tool_calls": []},
        {"tool_calls": [{"id": "c", "name": "t", "args": {}}]},
        {"content": ("x",)},
        {"id": 5},
        {"not_a_field": 1},
    ):
        assert not keeps_its_fields(message(**changed), AIMessage), changed
    assert not keeps_its_fields(Words("x"), Words)
    cached = message()
    cached.__dict__["cached"] = 1
    assert not keeps_its_fields(cached, AIMessage)


@dataclasses.dataclass(init=False)
class NoInit:
    a: int = 0


@dataclasses.dataclass
class Late:
    a: int = dataclasses.field(default=0, init=False)


class Child(Point): ...


class OwnNew:
    def __new__(cls, *_: Any) -> OwnNew:
        return super().__new__(cls)


@dataclasses.dataclass
class New(OwnNew):
    a: int


@dataclasses.dataclass
class Guarded:
    a: int

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value + 1)


def test_dataclasses_that_keep_what_they_are_given() -> None:
    assert is_plain_dataclass(Point)
    assert is_plain_dataclass(FrozenPoint)
    for kind in (NoInit, Late, Child, New, Guarded, Derived, Checked):
        assert not is_plain_dataclass(kind), kind


def test_a_warning_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    class Inside: ...

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            check_importable(Inside)
            check_importable(Point)
    (told,) = caplog.records
    assert told.getMessage() == (
        f"values of {__name__}.test_a_warning_is_given_once.<locals>.Inside come back as their"
        " plain data: the class is not found under that name in its module. Define it at the"
        " module's top level"
    )


def test_the_classes_warned_of_are_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_losses, "_warned", set())
    with caplog.at_level(logging.WARNING):
        for number in range(1_100):
            warn_once(("module", str(number)), "%s", number)
    assert len(caplog.records) == len(_losses._warned) == 1_000


def test_the_error_says_what_to_do() -> None:
    assert str(InexactError(Colour, "it is red")) == (
        "a shared.exact_values.Colour would not come back as it was (it is red); convert it first,"
        " or pass a serde= that keeps it: ExactSerializer(pickle_fallback=True), or one of your own"
    )

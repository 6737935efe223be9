"""Looks at values: what LangGraph's format would lose of them."""

from __future__ import annotations

import collections
import dataclasses
import logging
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    ToolMessage,
)
from langgraph.types import Interrupt, Send
from shared.exact_values import (
    Checked,
    Colour,
    Count,
    Derived,
    FrozenPoint,
    Pair,
    Point,
    Rate,
    Slotted,
    Words,
    differences,
)

from langgraph.checkpoint.kusto import ExactSerializer, _losses
from langgraph.checkpoint.kusto._losses import (
    LANGCHAIN,
    InexactError,
    attributes_of,
    beyond,
    check_importable,
    holds_buffer,
    is_plain_dataclass,
    is_plain_key,
    is_send,
    is_unicode,
    keeps_its_fields,
    loss_of_array,
    moment_of,
    named_parts,
    parts_of,
    plain_copy,
    warn_once,
)


@pytest.mark.parametrize("text", ["", "a", "☃", "\U0001f600", "\x00"])
def test_unicode(text: str) -> None:
    assert is_unicode(text) is True


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "☃\udc00"])
def test_lone_surrogates(text: str) -> None:
    assert is_unicode(text) is False


PLAIN = ["", "☃", 0, -(2**63), 2**64 - 1, 1.5, True, None, b"k", (), (1, ("a", None))]
STRANGE = [
    *("\ud800", 2**64, -(2**63) - 1, Words("a"), Count(1), Colour.RED, uuid.UUID(int=1)),
    *((1, 2**64), ((), ("\ud800",)), frozenset(), Pair(1, 2), datetime(2026, 1, 1), 1j),
]


@pytest.mark.parametrize("key", PLAIN, ids=repr)
def test_keys_that_come_back(key: Any) -> None:
    assert is_plain_key(key) is True


@pytest.mark.parametrize("key", STRANGE, ids=repr)
def test_keys_that_do_not(key: Any) -> None:
    assert is_plain_key(key) is False


BUFFER = bytearray(b"x")
WITH = [
    *(BUFFER, memoryview(b"x"), bytearray(), [BUFFER], [1, [2, [BUFFER]]], {"a": BUFFER}),
    *({"a": [1], "b": {"c": [{}, BUFFER]}}, [0] * 100 + [BUFFER], [[]] * 100 + [[BUFFER]]),
    {number: memoryview(b"") for number in range(100)},
    [[BUFFER], [0] * 100],
]
WITHOUT = [
    *(b"x", "x", 1, None, [], {}, [1, "a", b"b"], {"a": {"b": [None]}}, [0.5] * 100),
    # What `packb` hands over is looked at when it is packed.
    *((BUFFER,), {BUFFER.hex(): 1}, Point(1.0, BUFFER), [(BUFFER,)] * 100),
]


@pytest.mark.parametrize("value", WITH, ids=lambda value: repr(value)[:30])
def test_buffers_are_found(value: Any) -> None:
    assert holds_buffer(value) is True


@pytest.mark.parametrize("value", WITHOUT, ids=lambda value: repr(value)[:30])
def test_there_is_no_buffer(value: Any) -> None:
    assert holds_buffer(value) is False


class Liar(str):
    def __str__(self) -> str:
        return "lie"


class Minus(int):
    def __int__(self) -> int:
        return -1


class Warm(float):
    def __float__(self) -> float:
        return -1.0


class Turned(complex):
    def __complex__(self) -> complex:
        return 0j


class Sealed(bytes):
    def __bytes__(self) -> bytes:
        return b"sealed"


def test_the_plain_copy_of_a_subclass() -> None:
    for value, builtin, expected in (
        (Liar("truth"), str, "truth"),
        (Minus(5), int, 5),
        (Pair(1, 2), tuple, [1, 2]),
        ({"a": 1}, dict, {"a": 1}),
        (Warm(0.5), float, 0.5),
        (Turned(complex(-0.0, 1)), complex, complex(-0.0, 1)),
        (Sealed(b"x"), bytes, b"x"),
    ):
        found = plain_copy(value, builtin)
        assert repr(found) == repr(expected)
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


class Ring(collections.deque[Any]):
    __slots__ = ("mark", "other")


class Marked(Ring):
    note: str


class Shown(dict[str, Any]):
    """Shows its items in another order, and otherwise."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))

    def __getitem__(self, key: str) -> Any:
        return None


class Short(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


def test_all_that_a_builtin_holds() -> None:
    assert parts_of(Shown(b=1, a=2), dict) == [2, "a", "b", 2, 1]
    assert parts_of(Short([1, [2]]), list) == [1, [2]]
    assert parts_of(Pair(1, (2,)), tuple) == [1, (2,)]
    for value, builtin in ((Liar("truth"), str), (Minus(5), int), (Rate(0.5), float)):
        (found,) = parts_of(value, builtin)
        assert type(found) is builtin
    assert named_parts(Pair(1, (2,))) == ["left", "right", 1, (2,)]


def test_the_attributes_of_an_instance() -> None:
    ring = Ring([1])
    assert attributes_of(ring, collections.deque) == {}
    ring.mark = 5
    assert attributes_of(ring, collections.deque) == {"mark": 5}
    marked = Marked([1])
    marked.mark, marked.note = 6, "n"
    assert attributes_of(marked, collections.deque) == {"mark": 6, "note": "n"}
    assert attributes_of(marked, Ring) == attributes_of(marked, Marked) == {"note": "n"}
    assert attributes_of(object(), object) == {}
    # It is not in the dict of the instance, and not known to `dict`.
    assert attributes_of(collections.defaultdict(int), dict) == {"default_factory": int}
    assert attributes_of(collections.defaultdict(int), collections.defaultdict) == {}


class Fine(datetime):
    nanosecond = 7


def test_what_is_beyond_microseconds() -> None:
    assert beyond(datetime(2026, 1, 1)) == 0
    assert beyond(Fine(2026, 1, 1)) == 7


def test_arrays_that_do_not_come_back_from_their_bytes() -> None:
    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
    for kept in ([1], [0.5], [True], ["a"], [1j], [b"x"]):
        assert loss_of_array(numpy.array(kept), numpy) is None
    plain = "an array comes back as a plain one of numbers or text"
    assert loss_of_array(numpy.ma.array([1]), numpy) == plain
    assert loss_of_array(numpy.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]), numpy) == plain
    assert loss_of_array(numpy.array([None]), numpy) == "its elements are Python objects"


def test_where_messages_and_documents_come_from() -> None:
    for value in (*KEPT.values(), *CHANGED.values()):
        assert type(value).__module__.startswith(LANGCHAIN)
    assert not Extended.__module__.startswith(LANGCHAIN)


def test_what_is_a_send() -> None:
    assert is_send(Send)
    assert not is_send(Interrupt)
    assert not is_send(type("Send", (), {}))


USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
DETAILED = {
    **USAGE,
    "input_token_details": {"audio": 1, "cache_creation": 2, "cache_read": 3},
    "output_token_details": {"audio": 1, "reasoning": 2},
}
CALL = {"name": "t", "args": {}, "id": "c", "type": "tool_call"}


def message(**changed: Any) -> AIMessage:
    call = {"name": "t", "args": {}, "id": "c"}
    value = AIMessage("x", tool_calls=[call], additional_kwargs={"tool_calls": []}, id="1")
    for name, item in changed.items():
        setattr(value, name, item)
    return value


def result(**changed: Any) -> ToolMessage:
    value = ToolMessage("x", tool_call_id="c", artifact=Point(1.0))
    for name, item in changed.items():
        setattr(value, name, item)
    return value


KEPT: dict[str, Any] = {
    "calls": message(),
    "no calls": message(tool_calls=[], additional_kwargs={}),
    "a call without id": message(tool_calls=[{**CALL, "id": None}]),
    "parts": HumanMessage([{"type": "text", "text": "x"}, "y"]),
    "metadata": message(response_metadata={"a": object()}, name="n"),
    "tokens": message(usage_metadata=USAGE),
    "tokens in detail": message(usage_metadata=DETAILED),
    "some details": message(
        usage_metadata={**USAGE, "output_token_details": {"reasoning": 5}}, id=None
    ),
    "a result": result(),
    "a chunk": AIMessageChunk("x"),
    "the last chunk": AIMessageChunk("x", chunk_position="last"),
    "a role": ChatMessage("x", role="r"),
    "a document": Document("x", id="1", metadata={"a": 1}),
}
CHANGED: dict[str, Any] = {
    "calls taken away": message(tool_calls=[]),
    "a call in another order": message(
        tool_calls=[{"id": "c", "name": "t", "args": {}, "type": "tool_call"}]
    ),
    "a call without type": message(tool_calls=[{"name": "t", "args": {}, "id": "c"}]),
    "one call of two": message(tool_calls=[CALL, {**CALL, "more": 1}]),
    "calls in a tuple": message(tool_calls=(CALL,)),
    "a call of another kind": message(tool_calls=[OrderedDict(CALL)]),
    "another kind of name": message(tool_calls=[{**CALL, "name": Words("t")}]),
    "another kind of arguments": message(tool_calls=[{**CALL, "args": OrderedDict(a=1)}]),
    "another kind of id": message(tool_calls=[{**CALL, "id": Words("c")}]),
    "another kind of call": message(tool_calls=[{**CALL, "type": Words("tool_call")}]),
    "an invalid call": message(invalid_tool_calls=[{"name": "t"}]),
    "invalid calls in a tuple": message(invalid_tool_calls=()),
    "content in a tuple": message(content=("x",)),
    "content of a subclass": message(content=Words("x")),
    "a number in the content": result(content=[5]),
    "an ordered part": message(content=[OrderedDict(type="text", text="x")]),
    "a number as id": message(id=5),
    "no field": message(not_a_field=1),
    "ordered metadata": message(response_metadata=OrderedDict(a=1)),
    "ordered arguments": message(additional_kwargs=OrderedDict(a=1)),
    "a name of a subclass": message(name=Words("n")),
    "a type of a subclass": message(type=Words("ai")),
    "a call's id that is a number": result(tool_call_id=5),
    "a status of a subclass": result(status=Words("error")),
    "a role of a subclass": ChatMessage("x", role="r").model_copy(update={"role": Words("r")}),
    "a page of a subclass": Document("x").model_copy(update={"page_content": Words("x")}),
    "ordered metadata of a document": Document("x").model_copy(
        update={"metadata": OrderedDict(a=1)}
    ),
    "ordered tokens": message(usage_metadata=OrderedDict(USAGE)),
    "tokens in another order": message(usage_metadata=dict(reversed(USAGE.items()))),
    "tokens in text": message(usage_metadata={**USAGE, "total_tokens": "3"}),
    "tokens that are true": message(usage_metadata={**USAGE, "input_tokens": True}),
    "more tokens": message(usage_metadata={**USAGE, "more": 1}),
    "details in another order": message(usage_metadata=dict(reversed(DETAILED.items()))),
    "ordered details": message(
        usage_metadata={**USAGE, "input_token_details": OrderedDict(audio=1)}
    ),
    "more details": message(usage_metadata={**USAGE, "input_token_details": {"more": 1}}),
    "details that are no whole numbers": message(
        usage_metadata={**USAGE, "output_token_details": {"audio": 1, "reasoning": 1.0}}
    ),
    "a chunk of a call": AIMessageChunk(
        "x", tool_call_chunks=[{"name": "t", "args": "{}", "id": "1", "index": 0}]
    ),
    "a chunk's position": AIMessageChunk("x").model_copy(update={"chunk_position": Words("last")}),
    "chunks in a tuple": AIMessageChunk("x").model_copy(update={"tool_call_chunks": ()}),
}


@pytest.mark.parametrize("name", KEPT)
def test_messages_that_keep_their_fields(name: str) -> None:
    value = KEPT[name]
    assert keeps_its_fields(value, type(value)) is True
    again = type(value)(**value.__dict__)
    assert list(differences(value, again)) == []


@pytest.mark.parametrize("name", CHANGED)
def test_messages_that_may_not(name: str) -> None:
    """They are looked at more closely then, and come back as they are."""
    value = CHANGED[name]
    assert keeps_its_fields(value, type(value)) is False
    if name != "no field":
        serde = ExactSerializer()
        assert list(differences(value, serde.loads_typed(serde.dumps_typed(value)))) == []


class Extended(AIMessage):
    """With a field of its own."""

    more: Any = None


def test_other_classes_do_not_keep_their_fields() -> None:
    assert keeps_its_fields(Words("x"), Words) is False
    assert not keeps_its_fields(Extended("x"), Extended)
    cached = message()
    cached.__dict__["cached"] = 1
    assert keeps_its_fields(cached, AIMessage) is False


@dataclasses.dataclass(init=False)
class NoInit:
    a: int = 0


@dataclasses.dataclass
class Late:
    a: int = dataclasses.field(default=0, init=False)


class Child(Point): ...


@dataclasses.dataclass
class Started:
    a: int

    def __post_init__(self) -> None:
        self.a += 1


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


@dataclasses.dataclass
class Doubling:
    a: int

    @property  # type: ignore[no-redef]
    def a(self) -> int:
        return self._a

    @a.setter
    def a(self, value: int) -> None:
        self._a = 2 * value


@dataclasses.dataclass
class Inheriting(Doubling):
    b: int = 0


def test_dataclasses_that_keep_what_they_are_given() -> None:
    assert is_plain_dataclass(Point)
    assert is_plain_dataclass(FrozenPoint)
    assert is_plain_dataclass(Slotted)
    for kind in (
        NoInit,
        Late,
        Started,
        Child,
        New,
        Guarded,
        Derived,
        Checked,
        Doubling,
        Inheriting,
    ):
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

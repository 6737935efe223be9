"""Calling the serializer: its failures say where they happened."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph.checkpoint.kusto import _codec
from langgraph.checkpoint.kusto._codec import (
    check_serde,
    deserialize,
    deserialize_dict,
    serialize,
)
from langgraph.checkpoint.kusto.errors import (
    DeserializationError,
    InvalidOptionError,
    SerializationError,
    ValueTooLargeError,
)


class Serde:
    """A serializer of the user's, with a fault."""

    def __init__(self, dumped: Any = ("raw", b"12345"), error: Exception | None = None) -> None:
        self._dumped = dumped
        self._error = error

    def dumps_typed(self, obj: Any) -> Any:
        if self._error is not None:
            raise self._error
        return self._dumped

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        if self._error is not None:
            raise self._error
        return data


def test_round_trip() -> None:
    serde = JsonPlusSerializer()
    stored = serialize(serde, {"a": [1, None, b"x"]}, "channel 'a'")

    assert stored[0] == "msgpack"
    assert deserialize(serde, stored, "channel 'a'") == {"a": [1, None, b"x"]}


@pytest.mark.parametrize(
    "error", [ValueError("no way"), KeyError("k"), RecursionError("deep"), TypeError("bad")]
)
def test_a_failing_serializer(error: Exception) -> None:
    with pytest.raises(SerializationError) as caught:
        serialize(Serde(error=error), {1, 2}, "channel 'messages' of checkpoint '7'")

    text = str(caught.value)
    assert text.startswith("channel 'messages' of checkpoint '7' cannot be serialised")
    assert "a value of type set" in text
    assert f"{type(error).__name__}: {error}" in text
    assert "pass a serde=" in text
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "dumped",
    [
        None,
        (),
        ("tag",),
        "no",
        5,
        ("tag", None),
        ("tag", "text"),
        ("tag", 5),
        (None, b"x"),
        (b"", b""),
        ("\ud800", b"x"),
        ("t" * 1_025, b"x"),
        ("é" * 513, b"x"),
    ],
)
def test_a_serializer_that_gives_no_tag_and_bytes(dumped: Any) -> None:
    with pytest.raises(SerializationError, match="channel 'x' cannot be serialised"):
        serialize(Serde(dumped), 1, "channel 'x'")


@pytest.mark.parametrize("tag", [b"raw", None, 5])
def test_a_tag_of_another_type_is_named(tag: Any) -> None:
    with pytest.raises(SerializationError, match="gave a tag of type") as caught:
        serialize(Serde((tag, b"x")), 1, "channel 'x'")
    assert f"a tag of type {type(tag).__name__}, not str" in str(caught.value)


def test_bytes_are_not_copied() -> None:
    data = b"x" * 1_000

    assert serialize(Serde(("raw", data)), 1, "x")[1] is data


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_what_the_serializer_may_still_change_is_copied(data: Any) -> None:
    stored = serialize(Serde(("raw", data)), 1, "x")

    assert stored == ("raw", b"abc")
    assert type(stored[1]) is bytes


def test_cancelling_is_not_swallowed() -> None:
    class Interrupted(Serde):
        def dumps_typed(self, obj: Any) -> Any:
            raise KeyboardInterrupt

        loads_typed = dumps_typed

    with pytest.raises(KeyboardInterrupt):
        serialize(Interrupted(), 1, "x")
    with pytest.raises(KeyboardInterrupt):
        deserialize(Interrupted(), ("raw", b""), "x")


def test_the_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codec, "MAX_VALUE_BYTES", 5)
    assert serialize(Serde(("raw", b"12345")), 1, "x") == ("raw", b"12345")
    with pytest.raises(ValueTooLargeError, match=r"^channel 'x' has 6 bytes, more than 5; keep"):
        serialize(Serde(("raw", b"123456")), 1, "channel 'x'")


def test_a_value_that_cannot_be_read_back() -> None:
    error = ValueError("unknown tag")
    with pytest.raises(DeserializationError) as caught:
        deserialize(Serde(error=error), ("pickle", b"x"), "channel 'x' of checkpoint '7'")

    text = str(caught.value)
    assert text.startswith("channel 'x' of checkpoint '7', stored as 'pickle', cannot be read back")
    assert "ValueError: unknown tag. Read it with the serde it was written with" in text
    assert caught.value.__cause__ is error


def test_a_value_of_another_serializer() -> None:
    with pytest.raises(DeserializationError, match="stored as 'msgpack\\+aes'"):
        deserialize(JsonPlusSerializer(), ("msgpack+aes", b"x"), "channel 'x'")


def test_the_longest_tag() -> None:
    assert serialize(Serde(("é" * 512, b"x")), 1, "x") == ("é" * 512, b"x")
    with pytest.raises(SerializationError, match="a tag of more than 1024 bytes"):
        serialize(Serde(("é" * 512 + "x", b"x")), 1, "x")


def test_what_was_a_dict_is_read_back_as_one() -> None:
    class Loads(Serde):
        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            return self._dumped

    found = {"a": 1}
    assert deserialize_dict(Loads(found), ("raw", b""), "the body") is found
    with pytest.raises(DeserializationError) as caught:
        deserialize_dict(Loads([1]), ("raw", b""), "the body of checkpoint '7'")
    assert str(caught.value) == (
        "the body of checkpoint '7', stored as 'raw', cannot be read back: the serializer gave a"
        " list, not a dict. Read it with the serde it was written with"
    )
    with pytest.raises(DeserializationError, match=r"ValueError: no\."):
        deserialize_dict(Serde(error=ValueError("no")), ("raw", b""), "the body")


def test_what_is_a_serializer() -> None:
    for serde in (JsonPlusSerializer(), Serde(), pickle, json):
        check_serde(serde)

    class Half:
        dumps_typed = dumps = len
        loads = 5

    for no_serde in (5, None, object(), "pickle", Half(), JsonPlusSerializer.dumps_typed):
        with pytest.raises(InvalidOptionError) as caught:
            check_serde(no_serde)
        assert str(caught.value) == (
            "serde must have dumps_typed and loads_typed, as LangGraph's JsonPlusSerializer has"
            f" them; {type(no_serde).__name__} has not"
        )

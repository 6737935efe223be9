"""Calling the serializer so that its failures say where they happened (pure)."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from ._values import MAX_VALUE_BYTES
from .errors import (
    DeserializationError,
    InvalidOptionError,
    SerializationError,
    ValueTooLargeError,
)

MAX_TAG_BYTES = 1_024
"""Longest tag of a serializer; it stands in a column beside the value, which Kusto would cut."""


def check_serde(serde: object) -> None:
    """Refuse what is no serializer; the untyped ones of old, like `pickle`, are still taken.

    Raises:
        InvalidOptionError: It cannot dump or cannot load.
    """
    for pair in (("dumps_typed", "loads_typed"), ("dumps", "loads")):
        if all(callable(getattr(serde, name, None)) for name in pair):
            return
    raise InvalidOptionError(
        "serde must have dumps_typed and loads_typed, as LangGraph's JsonPlusSerializer has them;"
        f" {type(serde).__name__} has not"
    )


def serialize(serde: SerializerProtocol, value: Any, where: str) -> tuple[str, bytes]:
    """Serialise a value.

    Raises:
        SerializationError: The serializer failed; the message names the place and the type.
        ValueTooLargeError: The value is over the upper bound.
    """
    try:
        dumped: Any = serde.dumps_typed(value)  # a serializer of the user's may give anything
        tag, data = dumped
        if not isinstance(tag, str):
            raise TypeError(f"the serializer gave a tag of type {type(tag).__name__}, not str")
        if len(tag.encode()) > MAX_TAG_BYTES:  # a lone surrogate is refused by `encode`
            raise ValueError(f"the serializer gave a tag of more than {MAX_TAG_BYTES} bytes")
        if not isinstance(data, bytes):
            data = bytes(memoryview(data))  # text and None are refused here, by name
    except Exception as error:
        raise SerializationError(
            f"{where} cannot be serialised: it holds a value of type {type(value).__qualname__};"
            f" {type(error).__name__}: {error}. Change the value, or pass a serde= that knows it"
        ) from error
    if len(data) > MAX_VALUE_BYTES:
        raise ValueTooLargeError(
            f"{where} has {len(data)} bytes, more than {MAX_VALUE_BYTES}; keep large data outside"
            " of the state, and a reference to it inside"
        )
    return tag, data


def deserialize(serde: SerializerProtocol, value: tuple[str, bytes], where: str) -> Any:
    """Read a value back.

    Raises:
        DeserializationError: The serializer failed; the message names the place and the tag.
    """
    try:
        return serde.loads_typed(value)
    except Exception as error:
        raise DeserializationError(
            f"{where}, stored as {value[0]!r}, cannot be read back: {type(error).__name__}:"
            f" {error}. Read it with the serde it was written with"
        ) from error


def deserialize_dict(serde: SerializerProtocol, value: tuple[str, bytes], where: str) -> Any:
    """Read back what was a dict when it was stored.

    Raises:
        DeserializationError: As `deserialize`, or the serializer gave something else.
    """
    found = deserialize(serde, value, where)
    if not isinstance(found, dict):
        raise DeserializationError(
            f"{where}, stored as {value[0]!r}, cannot be read back: the serializer gave a"
            f" {type(found).__qualname__}, not a dict. Read it with the serde it was written with"
        )
    return found

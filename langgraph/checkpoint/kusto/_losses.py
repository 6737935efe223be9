"""Looks at a value: what LangGraph's msgpack format loses of it, what its class does (pure).

Nothing is written here; `_exact.py` does that.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from datetime import datetime
from typing import Any

logger = logging.getLogger(__name__)

LANGCHAIN = ("langchain_core.messages.", "langchain_core.documents.base")
_TOOL_CALL = ["name", "args", "id", "type"]
_ID_KINDS = (str, type(None))
_BUFFERS = frozenset({bytearray, memoryview})
_NESTING = frozenset({dict, list})
_LOOKED_INTO = _BUFFERS | _NESTING
_MANY = 30
_REMEDY = (
    "convert it first, or pass a serde= that keeps it:"
    " ExactSerializer(pickle_fallback=True), or one of your own"
)

_MAX_WARNED = 1_000
_warned: set[tuple[str, ...]] = set()


def warn_once(key: tuple[str, ...], text: str, *args: object) -> None:
    """Log a warning about a type, once for each; for a bounded number of types."""
    if key not in _warned and len(_warned) < _MAX_WARNED:
        _warned.add(key)
        logger.warning(text, *args)


class InexactError(TypeError):
    """A value would not come back as it was."""

    def __init__(self, kind: type, why: str) -> None:
        super().__init__(
            f"a {kind.__module__}.{kind.__qualname__} would not come back as it was ({why});"
            f" {_REMEDY}"
        )


def is_unicode(text: str) -> bool:
    """Tell that text has no lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_plain_key(key: Any) -> bool:
    """Tell whether a dict key comes back as it was; `packb` turns others to text in silence."""
    kind = type(key)
    if kind is str:
        return is_unicode(key)
    if kind is int:
        return bool(-(2**63) <= key < 2**64)
    if kind is tuple:
        return all(map(is_plain_key, key))
    return kind in (bool, float, bytes, type(None))


def holds_buffer(value: Any) -> bool:
    """Tell whether lists and dicts hold a bytearray or a view, which `packb` writes as bytes."""
    if type(value) in _BUFFERS:
        return True
    waiting = [value] if type(value) in _NESTING else []
    while waiting:
        value = waiting.pop()
        items = value.values() if type(value) is dict else value
        if len(items) > _MANY:
            kinds = set(map(type, items))  # in C, also for a million numbers
            if kinds.isdisjoint(_LOOKED_INTO):
                continue
        for item in items:
            kind = type(item)
            if kind in _LOOKED_INTO:
                if kind in _BUFFERS:
                    return True
                if item:
                    waiting.append(item)
    return False


def plain_copy(value: Any, builtin: type) -> Any:
    """The builtin's own copy, whatever the subclass shows of itself; of a tuple a list."""
    if builtin is tuple:
        return list(tuple.__iter__(value))
    if builtin is str:
        return str.__str__(value)
    if builtin is int:
        return int.__int__(value)
    return builtin(value)


def moment_of(value: datetime) -> dict[str, Any]:
    """The keywords of a `datetime`: its ISO form knows neither fold nor the name of a zone."""
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold")
    return {name: getattr(value, name) for name in names}


def keeps_its_fields(value: Any, kind: Any) -> bool:
    """Tell, quickly, that a message or document is rebuilt from its bare fields as it is."""
    known = getattr(kind, "__pydantic_fields__", None)
    if known is None or value.__pydantic_extra__:
        return False
    fields = value.__dict__
    if len(fields) != len(known):
        return False
    if type(fields.get("content", "")) not in (str, list) or type(fields["id"]) not in _ID_KINDS:
        return False  # assigned later, and not checked
    calls = fields.get("tool_calls")
    if calls:
        return all(list(call) == _TOOL_CALL for call in calls)
    # Of a provider's tool calls the class makes its own, also when those were taken away.
    return "tool_calls" not in fields.get("additional_kwargs", ())


def is_plain_dataclass(kind: Any) -> bool:
    """Tell that a dataclass does nothing but keep what its generated constructor is given."""
    parameters = vars(kind).get("__dataclass_params__")
    return (
        parameters is not None
        and parameters.init
        and not hasattr(kind, "__post_init__")
        and not hasattr(kind, "__pydantic_fields__")
        and kind.__new__ is object.__new__
        and (parameters.frozen or kind.__setattr__ is object.__setattr__)
        and all(field.init for field in dataclasses.fields(kind))
    )


def check_importable(kind: type) -> None:
    """Say, once, that no reader will find a class; its values come back as their data."""
    module = sys.modules.get(kind.__module__)
    if getattr(module, kind.__name__, None) is not kind:
        warn_once(
            (kind.__module__, kind.__qualname__),
            "values of %s.%s come back as their plain data: the class is not found under that name"
            " in its module. Define it at the module's top level",
            kind.__module__,
            kind.__qualname__,
        )

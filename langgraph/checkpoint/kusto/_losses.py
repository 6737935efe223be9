"""Looks at a value: what LangGraph's msgpack format loses of it, what its class does (pure).

Nothing is written here; `_exact.py` does that.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping
from datetime import datetime
from types import MemberDescriptorType
from typing import Any

logger = logging.getLogger(__name__)

LANGCHAIN = ("langchain_core.messages.", "langchain_core.documents.base")
_MAYBE_TEXT = (str, type(None))
# What validation leaves alone in messages and documents; an empty tuple stands for anything.
_FIELD_KINDS: Mapping[str, tuple[type, ...]] = {
    "additional_kwargs": (dict,),
    "artifact": (),
    "chunk_position": _MAYBE_TEXT,
    "content": (str, list),
    "id": _MAYBE_TEXT,
    "invalid_tool_calls": (list,),
    "metadata": (dict,),
    "name": _MAYBE_TEXT,
    "page_content": (str,),
    "response_metadata": (dict,),
    "role": (str,),
    "status": (str,),
    "tool_call_chunks": (list,),
    "tool_call_id": (str,),
    "tool_calls": (list,),
    "type": (str,),
    "usage_metadata": (dict, type(None)),
}
_CONTENT_KINDS = frozenset({str, dict})
_TOOL_CALL = ["name", "args", "id", "type"]
_TOKENS = ["input_tokens", "output_tokens", "total_tokens"]
_TOKEN_DETAILS = {
    "input_token_details": ["audio", "cache_creation", "cache_read"],
    "output_token_details": ["audio", "reasoning"],
}
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
    if builtin is float:
        return float.__float__(value)
    if builtin is complex:
        return complex.__pos__(value)
    if builtin is bytes:
        return bytes.__getitem__(value, slice(None))
    return builtin(value)


def parts_of(value: Any, builtin: type) -> list[Any]:
    """All that the builtin holds of a subclass's instance, in the order its class shows."""
    if builtin is dict:
        keys = list(value)
        return [dict.__len__(value), *keys, *(dict.get(value, key) for key in keys)]
    if builtin in (list, tuple):
        return list(builtin.__iter__(value))
    return [plain_copy(value, builtin)]


def named_parts(value: Any) -> list[Any]:
    """Names and values of a named tuple."""
    fields = value._asdict()
    return [*fields, *fields.values()]


def attributes_of(value: Any, base: type) -> dict[str, Any]:
    """What an instance carries beside what its base holds: in its dict, and in slots."""
    found = dict(getattr(value, "__dict__", ()))
    for owner in type(value).__mro__:
        if owner is base:
            break
        for name, item in vars(owner).items():
            if type(item) is MemberDescriptorType and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def moment_of(value: datetime) -> dict[str, Any]:
    """The keywords of a `datetime`: its ISO form knows neither fold nor the name of a zone."""
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold")
    return {name: getattr(value, name) for name in names}


def beyond(value: datetime) -> int:
    """What pandas counts beyond microseconds."""
    return int(getattr(value, "nanosecond", 0))


def loss_of_array(value: Any, numpy: Any) -> str | None:
    """Say why an array would not come back from its bytes."""
    if type(value) is not numpy.ndarray or numpy.dtype(value.dtype.str) != value.dtype:
        return "an array comes back as a plain one of numbers or text"
    return "its elements are Python objects" if value.dtype.hasobject else None


def is_send(kind: type) -> bool:
    """Tell LangGraph's `Send` from other classes with a node and an argument."""
    return (kind.__module__, kind.__name__) == ("langgraph.types", "Send")


def keeps_its_fields(value: Any, kind: Any) -> bool:
    """Tell, quickly, that a message or document is rebuilt from its bare fields as it is."""
    known = getattr(kind, "__pydantic_fields__", None)
    if known is None or value.__pydantic_extra__:
        return False
    fields = value.__dict__
    if len(fields) != len(known):
        return False
    for name, item in fields.items():  # what was assigned later is not checked before
        kinds = _FIELD_KINDS.get(name, (None,))
        if kinds and type(item) not in kinds:
            return False
    content = fields.get("content")
    if type(content) is list and not _CONTENT_KINDS.issuperset(map(type, content)):
        return False
    # The class makes its calls of a chunk's, and completes those that are invalid.
    if fields.get("tool_call_chunks") or fields.get("invalid_tool_calls"):
        return False
    if not _is_plain_usage(fields.get("usage_metadata")):
        return False
    calls = fields.get("tool_calls")
    if calls:
        return all(map(_is_plain_call, calls))
    # Of a provider's tool calls the class makes its own, also when those were taken away.
    return "tool_calls" not in fields.get("additional_kwargs", ())


def _is_plain_call(call: Any) -> bool:
    return (
        type(call) is dict
        and list(call) == _TOOL_CALL
        and type(call["name"]) is str
        and type(call["args"]) is dict
        and type(call["id"]) in _MAYBE_TEXT
        and type(call["type"]) is str
    )


def _is_plain_usage(usage: dict[str, Any] | None) -> bool:
    """Tell that counted tokens are whole numbers, in the order validation gives them."""
    if usage is None:
        return True
    details = [name for name in _TOKEN_DETAILS if name in usage]
    return (
        list(usage) == _TOKENS + details
        and all(type(usage[name]) is int for name in _TOKENS)
        and all(
            type(usage[name]) is dict
            and list(usage[name]) == [key for key in _TOKEN_DETAILS[name] if key in usage[name]]
            and all(type(count) is int for count in usage[name].values())
            for name in details
        )
    )


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
        and all(field.init and _is_kept(kind, field.name) for field in dataclasses.fields(kind))
    )


def _is_kept(kind: type, name: str) -> bool:
    """Tell that no property of its class changes a field."""
    found = next((vars(owner)[name] for owner in kind.__mro__ if name in vars(owner)), None)
    return type(found) is MemberDescriptorType or not hasattr(type(found), "__set__")


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

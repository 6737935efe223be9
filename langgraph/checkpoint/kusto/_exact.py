"""How values that LangGraph's msgpack format loses are written in it all the same (pure).

Rules:
- A value that the base keeps is written with the base's bytes; `test_serde.py` compares them.
- Every form is one that the base's own reader rebuilds under its allowlist: a class of the user's
  is only ever made by the base, never here.
- The packing is done by `ormsgpack`, told to hand over what it would lose. It does not tell dict
  keys that are no plain text, lone surrogates and bytearrays; those are looked for when it fails or
  when its output holds a byte that marks binary data.
- `CONSTRUCTORS` and the functions it names are in stored data: they keep their names for ever.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import SendProtocol, _DeltaSnapshot
from langgraph.store.base import Item

from ._losses import (
    LANGCHAIN,
    InexactError,
    check_importable,
    holds_buffer,
    is_plain_dataclass,
    is_plain_key,
    is_unicode,
    keeps_its_fields,
    moment_of,
    plain_copy,
)
from ._restore import FACTORIES, dumped_model, fields_of, is_model, is_pydantic, state_of

logger = logging.getLogger(__name__)

_RESTORE = "langgraph.checkpoint.kusto._restore"

CONSTRUCTORS: frozenset[tuple[str, ...]] = frozenset(
    {
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "dict"),
        ("builtins", "int"),
        ("builtins", "str"),
        ("builtins", "tuple"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        # What `message.text` gives: text, with a method call for old code.
        ("langchain_core.messages.base", "TextAccessor"),
        (_RESTORE, "default_dict"),
        (_RESTORE, "restored"),
    }
)
"""Beyond LangGraph's safe types: harmless with any argument, or they build nothing themselves."""

# The codes of LangGraph's msgpack extensions.
_ONE, _MANY, _NAMED, _METHOD, _V1, _V2, _DELTA = 0, 1, 2, 3, 4, 5, 7
_RAW = 127  # never stored: see `Encoder.raw`

_FAST = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_ANY_KEYS = _FAST | ormsgpack.OPT_NON_STR_KEYS

_BASE = JsonPlusSerializer()
_PERMISSIVE = JsonPlusSerializer(allowed_msgpack_modules=True)
_BUILTINS = (str, int, float, bytes, bytearray, list, dict, tuple, complex)


class Encoder:
    """Packs one value. Used once, by one thread."""

    __slots__ = ("failure", "raw")

    def __init__(self, raw: bool = False) -> None:
        self.failure: Exception | None = None
        # Models as their bare state, without a look at how they come back: bytes to compare, which
        # are equal if and only if the values are, with all types.
        self.raw = raw

    def pack(self, value: Any, part: Any = None) -> bytes:
        """Pack a value exactly.

        Args:
            value: What to pack.
            part: Where alone a bytearray can be in it; None means anywhere.

        Raises:
            TypeError: It cannot be written, or would not come back as it was.
        """
        try:
            data = ormsgpack.packb(value, default=self._convert, option=_FAST)
        except TypeError as error:
            if self.failure is None:
                return self._pack_slowly(value)
            # packb drops what `default` raised.
            raise self.failure from error
        if (b"\xc4" in data or b"\xc5" in data or b"\xc6" in data) and holds_buffer(
            value if part is None else part
        ):
            return self._pack_slowly(value)
        return data

    def _pack_slowly(self, value: Any) -> bytes:
        try:
            return ormsgpack.packb(self._spelled(value), default=self._convert, option=_ANY_KEYS)
        except (TypeError, RecursionError) as error:
            if self.failure is None:
                self.failure = error if isinstance(error, TypeError) else TypeError(str(error))
            raise self.failure from error

    def _spelled(self, value: Any) -> Any:
        """Copy lists and dicts, with what `packb` does not hand over written out."""
        kind = type(value)
        if kind is str:
            return value if is_unicode(value) else self._surrogates(value)
        if kind is list:
            return [self._spelled(item) for item in value]
        if kind is dict:
            if all(map(is_plain_key, value)):
                return {key: self._spelled(item) for key, item in value.items()}
            return self.one("builtins", "dict", [[key, item] for key, item in value.items()])
        if kind is bytearray:
            return self.one("builtins", "bytearray", bytes(value))
        if kind is memoryview:
            raise InexactError(kind, "it is a view of memory")
        return value

    def _surrogates(self, value: str) -> ormsgpack.Ext:
        data = value.encode("utf-8", "surrogatepass")
        return self.many("builtins", "str", [data, "utf-8", "surrogatepass"])

    # -- forms of LangGraph's format ---------------------------------------------------------------

    def one(self, module: str, name: str, argument: Any) -> ormsgpack.Ext:
        """Call a constructor with one argument."""
        return ormsgpack.Ext(_ONE, self.pack([module, name, argument]))

    def many(self, module: str, name: str, arguments: list[Any]) -> ormsgpack.Ext:
        """Call a constructor with positional arguments."""
        return ormsgpack.Ext(_MANY, self.pack([module, name, arguments]))

    def named(self, kind: type, arguments: Mapping[str, Any]) -> ormsgpack.Ext:
        """Call a class with keywords."""
        check_importable(kind)
        return ormsgpack.Ext(_NAMED, self.pack([kind.__module__, kind.__name__, arguments]))

    def call(self, kind: type, argument: Any) -> ormsgpack.Ext:
        """Call a class with one argument."""
        check_importable(kind)
        return self.one(kind.__module__, kind.__name__, argument)

    # -- what packb hands over ---------------------------------------------------------------------

    def _convert(self, value: Any) -> Any:
        try:
            kind = type(value)
            known = _KNOWN.get(kind)
            if known is not None:
                return known(self, value)
            if kind.__module__.startswith(LANGCHAIN) and keeps_its_fields(value, kind):
                # Not `model_dump()`: it makes dicts of the models in an artifact, and costs more.
                fields = value.__dict__
                body = [kind.__module__, kind.__name__, fields, "model_validate_json"]
                return ormsgpack.Ext(_V2, self.pack(body, fields))
            return self._unknown(value, kind)
        except Exception as error:
            if self.failure is None:
                self.failure = error if isinstance(error, TypeError) else TypeError(repr(error))
            raise

    def _unknown(self, value: Any, kind: type) -> Any:
        """Go through the kinds in the base's order, after the subclasses of builtins."""
        if isinstance(value, type):
            raise TypeError(f"Type is not msgpack serializable: the class {value.__qualname__}")
        if isinstance(value, Enum):
            return self._checked(kind, [value.value], value)
        if isinstance(value, _BUILTINS) and not hasattr(value, "_asdict"):
            return self._subclass(value, kind)
        if is_model(value):
            return self._model(value, kind)
        if callable(getattr(value, "get_secret_value", None)):
            return self._checked(kind, [value.get_secret_value()], value)
        if callable(getattr(value, "_asdict", None)):
            return self._checked(kind, value._asdict(), value)
        if isinstance(value, pathlib.Path):
            return self.many(kind.__module__, kind.__name__, list(value.parts))
        if isinstance(value, re.Pattern):
            return self.many("re", "compile", [value.pattern, value.flags])
        if isinstance(value, (set, frozenset)):
            return self._checked(kind, [list(value)], value)
        if isinstance(value, datetime):
            return self._checked(kind, moment_of(value), value)
        if isinstance(value, SendProtocol):
            return _send(self, value)
        if dataclasses.is_dataclass(value):
            return self._dataclass(value, kind)
        if isinstance(value, Item):
            return self.named(kind, {name: getattr(value, name) for name in value.__slots__})
        return self._other(value, kind)

    def _checked(self, kind: Any, arguments: list[Any] | dict[str, Any], value: Any) -> Any:
        """Write a call of a class, once it is seen to give the value."""
        if not self.raw:
            try:
                made = kind(**arguments) if isinstance(arguments, dict) else kind(*arguments)
            except Exception as error:
                raise InexactError(kind, f"its class refuses its own value: {error}") from error
            if type(made) is not kind or not _equal(made, value):
                raise InexactError(kind, "its class makes something else of its own value")
        if isinstance(arguments, dict):
            return self.named(kind, arguments)
        return self.call(kind, *arguments)

    def _subclass(self, value: Any, kind: type) -> Any:
        builtin = next(base for base in _BUILTINS if isinstance(value, base))
        plain = plain_copy(value, builtin)
        if not self.raw:
            try:
                made = kind(plain)
            except Exception as error:
                raise InexactError(kind, f"its class does not take a {builtin.__name__}") from error
            if type(made) is not kind or not _equal(plain_copy(made, builtin), plain):
                raise InexactError(kind, f"its class makes something else of a {builtin.__name__}")
            if not _equal(getattr(made, "__dict__", None), getattr(value, "__dict__", None)):
                raise InexactError(kind, "it has attributes of its own")
        return self.call(kind, plain)

    def _model(self, value: Any, kind: type) -> Any:
        if self.raw:
            state = _storable_state(value)
            state.pop("set", None)  # no part of being equal
            return ormsgpack.Ext(_RAW, self.pack([kind.__module__, kind.__qualname__, state]))
        check_importable(kind)
        version_2 = callable(getattr(value, "model_dump", None))
        dumped = dumped_model(value)
        if not isinstance(dumped, dict):  # a RootModel
            return self._checked(kind, [value.root], value)
        body = [kind.__module__, kind.__name__, dumped]
        if version_2:
            body.append("model_validate_json")
        shell = ormsgpack.Ext(_V2 if version_2 else _V1, self.pack(body))
        if _rebuilds(value, kind, dumped):
            return shell
        if not is_pydantic(value):
            raise InexactError(kind, "its class makes something else of its own dump")
        return self.many(_RESTORE, "restored", [shell, _storable_state(value)])

    def _dataclass(self, value: Any, kind: type) -> ormsgpack.Ext:
        fields = fields_of(value)
        if self.raw:
            return ormsgpack.Ext(_RAW, self.pack([kind.__module__, kind.__qualname__, fields]))
        if kind.__module__.startswith("langgraph.") or is_plain_dataclass(kind):
            return self.named(kind, fields)
        wanted = {field.name for field in dataclasses.fields(value) if field.init}
        arguments = {name: item for name, item in fields.items() if name in wanted}
        try:
            made = kind(**arguments)
        except Exception as error:
            raise InexactError(kind, f"its class refuses its own fields: {error}") from error
        shell = self.named(kind, arguments)
        if _same(fields_of(made), fields):
            return shell
        return self.many(_RESTORE, "restored", [shell, state_of(value)])

    def _other(self, value: Any, kind: type) -> Any:
        """Leave a value to the base, and see what it makes of it."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray):
            if kind is not numpy.ndarray or numpy.dtype(value.dtype.str) != value.dtype:
                raise InexactError(kind, "an array comes back as a plain one of numbers or text")
            if value.dtype.hasobject:
                raise InexactError(kind, "its elements are Python objects")
            return _by_base(value)
        written = _by_base(value)
        if isinstance(written, ormsgpack.Ext):
            # A subclass of what the base knows, rebuilt by the base's rule for its own class.
            made = _PERMISSIVE.loads_typed(_BASE.dumps_typed(value))
            if type(made) is not kind or not _equal(made, value):
                raise InexactError(kind, f"but as {type(made).__qualname__}")
            check_importable(kind)
        return written  # else the text of an exception


# --------------------------------------------------------------------------------- kinds known well


def _datetime(encoder: Encoder, value: datetime) -> ormsgpack.Ext:
    zone = value.tzinfo
    simple = zone is None or (type(zone) is timezone and len(zone.__reduce__()[1]) == 1)
    if (value.fold or not simple) and (simple or type(zone) in (timezone, ZoneInfo)):
        return encoder.named(datetime, moment_of(value))
    # A zone of another library comes back as its offset at that moment, as the base writes it.
    text = value.isoformat()
    return ormsgpack.Ext(_METHOD, encoder.pack(["datetime", "datetime", text, "fromisoformat"]))


def _deque(encoder: Encoder, value: deque[Any]) -> ormsgpack.Ext:
    if value.maxlen is None:
        return encoder.one("collections", "deque", list(value))
    return encoder.many("collections", "deque", [list(value), value.maxlen])


def _default_dict(encoder: Encoder, value: defaultdict[Any, Any]) -> ormsgpack.Ext:
    factory = value.default_factory
    name = "None" if factory is None else getattr(factory, "__name__", "")
    if name not in FACTORIES or FACTORIES[name] is not factory:
        raise InexactError(defaultdict, f"its default factory is {factory!r}")
    return encoder.many(_RESTORE, "default_dict", [name, dict(value)])


def _time(encoder: Encoder, value: time) -> ormsgpack.Ext:
    names = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
    return encoder.named(time, {name: getattr(value, name) for name in names})


def _send(encoder: Encoder, value: Any) -> ormsgpack.Ext:
    arguments = [value.node, value.arg]
    if (timeout := getattr(value, "timeout", None)) is not None:
        arguments.append(timeout)
    kind = type(value)
    return encoder.many(kind.__module__, kind.__name__, arguments)


def _by_base(value: Any) -> Any:
    """The base's own form of a value, to be packed among others."""
    tag, data = _BASE.dumps_typed(value)
    if tag != "msgpack":
        raise TypeError(f"LangGraph's serializer wrote a {type(value).__qualname__} as {tag!r}")
    return ormsgpack.unpackb(data, ext_hook=ormsgpack.Ext)


def _leaf(_: Encoder, value: Any) -> Any:
    return _by_base(value)


_KNOWN: dict[type, Callable[[Encoder, Any], Any]] = {
    tuple: lambda encoder, value: encoder.one("builtins", "tuple", list(value)),
    int: lambda encoder, value: encoder.many("builtins", "int", [hex(value), 16]),
    complex: lambda encoder, value: encoder.many("builtins", "complex", [value.real, value.imag]),
    set: lambda encoder, value: encoder.one("builtins", "set", list(value)),
    frozenset: lambda encoder, value: encoder.one("builtins", "frozenset", list(value)),
    deque: _deque,
    OrderedDict: lambda encoder, value: encoder.one("collections", "OrderedDict", dict(value)),
    Counter: lambda encoder, value: encoder.one("collections", "Counter", dict(value)),
    defaultdict: _default_dict,
    datetime: _datetime,
    time: _time,
    _DeltaSnapshot: lambda encoder, value: ormsgpack.Ext(_DELTA, encoder.pack(value.value)),
    UUID: lambda encoder, value: encoder.one("uuid", "UUID", value.hex),
    Decimal: lambda encoder, value: encoder.one("decimal", "Decimal", str(value)),
    **dict.fromkeys((date, timedelta, timezone, ZoneInfo), _leaf),
    **dict.fromkeys((IPv4Address, IPv4Interface, IPv4Network), _leaf),
    **dict.fromkeys((IPv6Address, IPv6Interface, IPv6Network), _leaf),
}

# -------------------------------------------------------------------------------------- comparing


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal with all types, NaN and signs."""
    try:
        return Encoder(raw=True).pack([one]) == Encoder(raw=True).pack([other])
    except TypeError:
        return False


def _equal(made: Any, value: Any) -> bool:
    """Compare by `==`, unless the value does not even equal itself: it holds NaN, or an array."""
    try:
        equal = bool(made == value)
        if equal or bool(value == value):
            return equal
    except Exception:
        logger.debug("%s cannot be compared", type(value), exc_info=True)
    return _same(made, value)


def _storable_state(value: Any) -> dict[str, Any]:
    """The state of a model, without private attributes that cannot be stored, a lock perhaps."""
    state = state_of(value)
    if state.get("private"):
        try:
            Encoder(raw=True).pack(state["private"])
        except TypeError:
            state["private"] = None
    return state


def _rebuilds(value: Any, kind: Any, dumped: dict[str, Any]) -> bool:
    """Tell whether the base's way back gives the value: validation, else construction without."""
    try:
        made = kind(**dumped)
    except Exception as refused:
        logger.debug("%s refuses its own dump: %s", kind, refused)
        construct = getattr(kind, "model_construct", None) or getattr(kind, "construct", None)
        if construct is None:
            raise InexactError(kind, "its class refuses its own fields") from refused
        made = construct(**dumped)
    return type(made) is kind and _same(made, value)

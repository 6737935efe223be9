"""How values that LangGraph's msgpack format loses are written in it all the same (pure).

Rules:
- A value that the base keeps is written with the base's bytes: `test_exact_values.py`.
- Every form is one that the base's own reader rebuilds under its allowlist: a class of the user's
  is only ever made by the base, never here.
- The packing is done by `ormsgpack`, told to hand over what it would lose. It does not tell dict
  keys that are no plain text, lone surrogates and bytearrays; those are looked for when it fails or
  when its output holds a byte that marks binary data.
- `CONSTRUCTORS` and the functions it names are in stored data: they keep their names for ever.
"""

from __future__ import annotations

import dataclasses
import pathlib
import pickle
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from ._losses import (
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
)
from ._restore import (
    FACTORIES,
    READER,
    dumped_model,
    fields_of,
    is_model,
    is_pydantic,
    rebuilt,
    restored,
    state_of,
)

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
_BUILTINS = (str, int, float, bytes, bytearray, list, dict, tuple, complex)
# Found among the members of an enum, also when read.
_MEMBERS = (str, int, bytes)


class Encoder:
    """Packs one value. Used once, by one thread."""

    __slots__ = ("failure", "raw")

    def __init__(self, raw: bool = False) -> None:
        self.failure: Exception | None = None
        # Models as their bare state, without a look at how they come back: bytes to compare, which
        # are equal if and only if the values are, with all types.
        self.raw = raw

    def pack(self, value: Any) -> bytes:
        """Pack a value exactly.

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
        if (b"\xc4" in data or b"\xc5" in data or b"\xc6" in data) and holds_buffer(value):
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

    def call(self, kind: type, *arguments: Any) -> ormsgpack.Ext:
        """Call a class with its arguments."""
        check_importable(kind)
        if len(arguments) == 1:
            return self.one(kind.__module__, kind.__name__, arguments[0])
        return self.many(kind.__module__, kind.__name__, list(arguments))

    # -- what packb hands over ---------------------------------------------------------------------

    def _convert(self, value: Any) -> Any:
        try:
            kind = type(value)
            known = _KNOWN.get(kind)
            if known is not None:
                return known(self, value)
            if kind.__module__.startswith(LANGCHAIN) and keeps_its_fields(value, kind):
                # Not `model_dump()`: it makes dicts of the models in an artifact, and costs more.
                body = [kind.__module__, kind.__name__, value.__dict__, "model_validate_json"]
                return ormsgpack.Ext(_V2, self.pack(body))
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
            return self._enum(value, kind)
        if isinstance(value, _BUILTINS) and not hasattr(value, "_asdict"):
            return self._subclass(value, kind)
        if is_model(value) and not isinstance(value, (*_KNOWN, pathlib.Path)):
            return self._model(value, kind)
        if callable(getattr(value, "get_secret_value", None)):
            secret = value.get_secret_value()
            self._check(kind, value, object, lambda it: [], [secret])
            return self.call(kind, secret)
        if callable(getattr(value, "_asdict", None)):
            fields = value._asdict()
            self._check(kind, value, tuple, named_parts, fields)
            return self.named(kind, fields)
        if isinstance(value, pathlib.Path):
            if kind is not type(pathlib.Path()):
                self._check(kind, value, pathlib.Path, lambda it: [str(it)], value.parts)
            return self.many(kind.__module__, kind.__name__, list(value.parts))
        if isinstance(value, re.Pattern):
            return self.many("re", "compile", [value.pattern, value.flags])
        if isinstance(value, (set, frozenset)):
            base = set if isinstance(value, set) else frozenset
            self._check(kind, value, base, lambda it: _packed(base.__iter__(it)), [list(value)])
            return self.call(kind, list(value))
        if isinstance(value, deque):
            arguments = [list(value)] if value.maxlen is None else [list(value), value.maxlen]
            self._check(kind, value, deque, lambda it: [it.maxlen, *deque.__iter__(it)], arguments)
            return self.call(kind, *arguments)
        if isinstance(value, datetime):
            moment = moment_of(value)
            self._check(kind, value, datetime, lambda it: [moment_of(it), beyond(it)], moment)
            return self.named(kind, moment)
        if dataclasses.is_dataclass(value):
            return self._dataclass(value, kind)
        if isinstance(value, SendProtocol):
            return self._send(value, kind)
        return self._other(value, kind)

    def _check(
        self,
        kind: Any,
        value: Any,
        base: type,
        parts: Callable[[Any], list[Any]],
        arguments: Sequence[Any] | Mapping[str, Any],
    ) -> None:
        """See that a call of a class gives the value.

        `parts` tells all that the base holds of an instance; its attributes are looked at here.
        """
        if self.raw:
            return
        try:
            made = kind(**arguments) if isinstance(arguments, Mapping) else kind(*arguments)
        except Exception as error:
            raise InexactError(kind, f"its class refuses its own value: {error}") from error
        if type(made) is not kind or not _alike(parts(made), parts(value)):
            raise InexactError(kind, "its class makes something else of its own value")
        if not _alike_attributes(made, value, base):
            raise InexactError(kind, "it has attributes of its own")

    def _enum(self, value: Enum, kind: Any) -> Any:
        found = value.value
        if not self.raw:
            if type(found) not in _MEMBERS:
                # The class looks for an equal value, and what is read is another object.
                found = READER.loads_typed(("msgpack", self.pack(found)))
            try:
                made = kind(found)
            except Exception as error:
                raise InexactError(kind, "no member is found by its value") from error
            if made is not value:
                raise InexactError(kind, "another member is found by its value")
        return self.call(kind, value.value)

    def _subclass(self, value: Any, kind: type) -> Any:
        builtin = next(base for base in _BUILTINS if isinstance(value, base))
        plain: Any = plain_copy(value, builtin)
        self._check(kind, value, builtin, lambda it: parts_of(it, builtin), [plain])
        return self.call(kind, plain)

    def _model(self, value: Any, kind: Any) -> Any:
        if self.raw:
            state = _storable_state(value)
            state.pop("set", None)  # no part of being equal
            if not is_pydantic(value):
                state["attributes"] = attributes_of(value, object)
            return ormsgpack.Ext(_RAW, self.pack([kind.__module__, kind.__qualname__, state]))
        check_importable(kind)
        version_2 = callable(getattr(value, "model_dump", None))
        dumped = dumped_model(value)
        made = rebuilt(kind, dumped)
        if getattr(kind, "__pydantic_root_model__", False) and not _same(made, value):
            made, shell = rebuilt(kind, [value.root]), self.call(kind, value.root)
        else:
            body = [kind.__module__, kind.__name__, dumped]
            if version_2:
                body.append("model_validate_json")
            shell = ormsgpack.Ext(_V2 if version_2 else _V1, self.pack(body))
        if made is None:
            raise InexactError(kind, "its class refuses its own fields")
        if _same(made, value):
            return shell
        if is_pydantic(value):
            return self._restored(kind, value, shell, made, _storable_state(value))
        if dataclasses.is_dataclass(value):
            return self._dataclass(value, kind)
        fields = attributes_of(value, object)
        self._check(kind, value, object, lambda it: [], fields)
        return self.named(kind, fields)

    def _restored(
        self, kind: type, value: Any, shell: ormsgpack.Ext, made: Any, state: dict[str, Any]
    ) -> ormsgpack.Ext:
        """Write what the reader makes of a value, and the state it shall have."""
        if not _same(restored(made, state), value):
            raise InexactError(kind, "its class makes something else of its own fields")
        return self.many(_RESTORE, "restored", [shell, state])

    def _dataclass(self, value: Any, kind: type) -> ormsgpack.Ext:
        fields = fields_of(value)
        if self.raw:
            return ormsgpack.Ext(_RAW, self.pack([kind.__module__, kind.__qualname__, fields]))
        if is_plain_dataclass(kind):
            return self.named(kind, fields)
        config = getattr(kind, "__pydantic_config__", None) or {}
        if config.get("extra") == "allow" and not vars(value).keys() <= fields.keys():
            raise InexactError(kind, "it has fields that its class does not name")
        wanted = {field.name for field in dataclasses.fields(value) if field.init}
        arguments = {name: item for name, item in fields.items() if name in wanted}
        try:
            made = kind(**arguments)
        except Exception as error:
            raise InexactError(kind, f"its class refuses its own fields: {error}") from error
        shell = self.named(kind, arguments)
        if _same(fields_of(made), fields):
            return shell
        return self._restored(kind, value, shell, made, state_of(value))

    def _send(self, value: Any, kind: type) -> ormsgpack.Ext:
        arguments = [value.node, value.arg]
        if (timeout := getattr(value, "timeout", None)) is not None:
            arguments.append(timeout)
        if not is_send(kind):
            self._check(kind, value, object, lambda it: [], arguments)
        return self.call(kind, *arguments)

    def _other(self, value: Any, kind: type) -> Any:
        """Leave a value to the base, and see what it makes of it."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray):
            if why := loss_of_array(value, numpy):
                raise InexactError(kind, why)
            return _by_base(value)
        written = _by_base(value)
        if isinstance(written, ormsgpack.Ext):
            # A subclass of what the base knows, rebuilt by the base's rule for its own class.
            data = _BASE.dumps_typed(value)
            made = READER.loads_typed(data)
            if _BASE.dumps_typed(made) != data:
                raise InexactError(kind, f"but as {type(made).__qualname__}")
            base = next((known for known in kind.__mro__ if known in _KNOWN), object)
            if not _alike_attributes(made, value, base):
                raise InexactError(kind, "it has attributes of its own")
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
    name: Any = "None" if factory is None else getattr(factory, "__name__", None)
    if name not in FACTORIES or FACTORIES[name] is not factory:
        raise InexactError(defaultdict, f"its default factory is {factory!r}")
    return encoder.many(_RESTORE, "default_dict", [name, dict(value)])


def _time(encoder: Encoder, value: time) -> ormsgpack.Ext:
    names = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
    return encoder.named(time, {name: getattr(value, name) for name in names})


def _by_base(value: Any) -> Any:
    """The base's own form of a value, to be packed among others."""
    _, data = _BASE.dumps_typed(value)
    return ormsgpack.unpackb(data, ext_hook=ormsgpack.Ext)


def _leaf(_: Encoder, value: Any) -> Any:
    return _by_base(value)


def _zone(_: Encoder, value: ZoneInfo) -> Any:
    try:
        value.__reduce__()
    except pickle.PicklingError as error:
        raise InexactError(ZoneInfo, "it was read from a file") from error
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
    ZoneInfo: _zone,
    **dict.fromkeys((date, timedelta, timezone), _leaf),
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


def _packed(items: Iterable[Any]) -> list[Any]:
    """Items without their order."""
    return sorted(Encoder().pack([item]) for item in items)


def _alike(made: list[Any], parts: list[Any]) -> bool:
    return len(made) == len(parts) and all(map(_is_or_equals, made, parts))


def _is_or_equals(one: Any, other: Any) -> bool:
    return one is other or _same(one, other)


def _alike_attributes(made: Any, value: Any, base: type) -> bool:
    present, wanted = attributes_of(made, base), attributes_of(value, base)
    return present.keys() == wanted.keys() and _alike(
        [present[name] for name in wanted], list(wanted.values())
    )


def _storable_state(value: Any) -> dict[str, Any]:
    """The state of a model, without private attributes that cannot be stored, a lock perhaps."""
    state = state_of(value)
    if state.get("private"):
        state["private"] = {
            name: item for name, item in state["private"].items() if _same(item, item)
        }
    return state

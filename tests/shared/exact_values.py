"""Values of every kind a state can hold, and a comparison that sees types, order, signs and zones.

The classes stand at the top level: a reader finds a class by its module and name only.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import math
import pathlib
import re
import sys
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.store.base import Item
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, (2, 3))


class Level(str, enum.Enum):
    LOW = "low"


class Number(enum.IntEnum):
    ONE = 1


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Words(str): ...


class Count(int): ...


class Rate(float): ...


class Blob(bytes): ...


class Stack(list[Any]): ...


class Bag(dict[str, Any]): ...


class Basket(set[Any]): ...


class Recent(deque[Any]): ...


class Money(Decimal): ...


class Moment(datetime): ...


class Row(NamedTuple):
    name: str
    cells: tuple[Any, ...] = ()


Pair = namedtuple("Pair", "left right")


class Account(BaseModel):
    name: str
    balance: Decimal
    tags: list[str] = []


class Savings(Account):
    rate: float = 0.0


class Holder(BaseModel):
    """Its fields hold more than their types say."""

    account: Account
    anything: Any = None
    pair: tuple[int, ...] = ()


class Trimmed(BaseModel):
    """Validation changes it, each time."""

    text: str

    @field_validator("text")
    @classmethod
    def shorten(cls, text: str) -> str:
        return text[1:]


class Aliased(BaseModel):
    value: int = Field(alias="theValue")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int = 0


class Private(BaseModel):
    shown: int = 0
    _hidden: list[Any] = PrivateAttr(default_factory=list)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    items: tuple[int, ...] = (1,)


class Names(RootModel[list[str]]): ...


class Table(RootModel[dict[int, str]]): ...


class Summed(BaseModel):
    """What it computes is in its dump, and no field when read."""

    model_config = ConfigDict(extra="allow")
    a: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.a


class Secretive(BaseModel):
    password: SecretStr


@dataclasses.dataclass
class Point:
    x: float
    y: Any = None


@dataclasses.dataclass(frozen=True)
class FrozenPoint:
    x: tuple[int, ...]


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a",)
    a: Any


@dataclasses.dataclass
class Derived:
    """A field that the constructor does not take, and one it changes."""

    base: int
    doubled: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.base += 1


@pydantic_dataclass
class Checked:
    size: int
    note: Any = None


class Box(BaseModel, Generic[T]):
    content: T


def derived() -> Derived:
    value = Derived(1)
    value.doubled = 40
    return value


def private() -> Private:
    value = Private(shown=2)
    value._hidden = [(1, 2)]
    return value


def disarmed() -> AIMessage:
    """A message whose calls a person took away, while the provider's copy of them stays."""
    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
    message = AIMessage("", additional_kwargs={"tool_calls": [call]}, id="1")
    message.tool_calls = []
    return message


ZONES = [
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc),
    datetime(1, 1, 1),
    datetime.max,
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-5), "EST")),
    datetime(1900, 1, 1, tzinfo=timezone(timedelta(hours=0, minutes=19, seconds=32))),
    datetime(2026, 7, 2, tzinfo=ZoneInfo("Europe/Vienna")),
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Vienna"), fold=1),
    datetime(2026, 10, 25, 2, 30, fold=1),
]

VALUES: dict[str, Any] = {
    "none": None,
    "empty": [],
    "all empty": ["", b"", [], (), {}, set(), frozenset(), None, 0, 0.0, False, bytearray()],
    "text": "quotes ' \" ` and \\ back\nslashes, ☃ \U0001f600, `| take 0`, ÄÅÆ čťě",
    "lone surrogates": ["\ud800", "a\udfffb", {"k\ud800": "\udcff"}, ("\ud83d", "\ude00")],
    "integers": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1],
    "big integers": [2**64, -(2**63) - 1, 10**40, -(10**40), 3**9_000, -(7**5_000)],
    "big integer": 10**5_000,
    "floats": [0.1, -0.0, 0.0, 1e308, 5e-324, math.inf, -math.inf, math.nan, 1.0, 118.0],
    "nan": math.nan,
    "minus zero": -0.0,
    "complex": [1 + 2j, complex(-0.0, math.inf)],
    "booleans": [True, False, 1, 0, 1.0],
    "bytes": b"\x00\xff\xfe raw",
    "bytearray": bytearray(b"mutable"),
    "buffers": [b"a", bytearray(b"a"), {"k": bytearray(b"\xc4")}, (bytearray(),), [[bytearray()]]],
    "tuple": (1, "a", None),
    "tuples": [(), ((),), (1, (2, [3, (4,)])), {"k": (1,)}, [(1,), [1]]],
    "named tuples": [Row("a", (1, (2,))), Pair([1], (2,)), Row("b")],
    "sets": [{1, 2}, frozenset({"a"}), {(1, 2), (3, (4,))}, {frozenset({1})}, {1, "1", None}],
    "deques": [deque(), deque([1, (2,)]), deque([1, 2], maxlen=5), deque(maxlen=0)],
    "ordered": OrderedDict([("b", 1), ("a", (2,))]),
    "counter": Counter({"a": 2, "b": -1}),
    "default dicts": [defaultdict(list, a=[1]), defaultdict(None, {1: 2}), defaultdict(int)],
    "keys": {1: "a", "1": "b", None: "c", 2.5: "d", b"1": "e", 2**63: "f", -1: "g"},
    "tuple keys": {(1, 2): "a", (1, ("b", None)): "b", (): "c", (b"x", 1.5): "d"},
    "strange keys": {
        Colour.RED: 1,
        Level.LOW: 2,
        Number.ONE: 3,
        uuid.UUID(int=7): 4,
        date(2026, 1, 1): 5,
        ZONES[0]: 6,
        2**70: 7,
        frozenset({1}): 8,
        Decimal("1.10"): 9,
        (Colour.RED, 2**70): 10,
        Words("w"): 11,
    },
    "order of keys": {"b": 1, "a": {"z": 1, "y": 2}, "\u00e9": 3},
    "subclasses": [
        Words("x"),
        Count(5),
        Rate(1.5),
        Rate(math.nan),
        Blob(b"x"),
        Stack([(1,)]),
        Bag(a=(1,)),
    ],
    "collections of the user's": [
        Basket([(1,)]),
        Recent([bytearray(b"x"), (1,)], maxlen=3),
        Recent([OrderedDict(a=Words("b"))]),
    ],
    "scalars of the user's": [
        Money("1.10"),
        Moment(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Vienna"), fold=1),
    ],
    "words": Words("top"),
    "blob": Blob(b"top"),
    "text of a message": AIMessage("said").text,
    "datetimes": ZONES,
    "dates": [date(2026, 2, 28), date.min, timedelta(days=-1, microseconds=7), timedelta.max],
    "times": [
        time(1, 2, 3, 4),
        time(1, 2, fold=1),
        time(3, tzinfo=timezone.utc),
        time(4, tzinfo=ZoneInfo("Asia/Kathmandu")),
    ],
    "zones": [timezone.utc, timezone(timedelta(hours=1), "X"), ZoneInfo("Europe/Vienna")],
    "decimals": [Decimal(x) for x in ("1.10", "-0", "NaN", "sNaN", "-Infinity", "1E+999")],
    "uuid": uuid.UUID(int=7),
    "enums": [Colour.RED, Colour.PAIR, Level.LOW, Number.ONE, Access.READ | Access.WRITE],
    "patterns": [re.compile(r"a+\d", re.I | re.M), re.compile(rb"\xff"), re.compile("\ud800")],
    "paths": [pathlib.Path("/a/b c"), pathlib.Path("."), pathlib.Path("x\udcff")],
    "addresses": [
        ipaddress.ip_address("10.0.0.1"),
        ipaddress.ip_address("::1"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("fe80::/10"),
        ipaddress.ip_interface("10.0.0.1/8"),
        ipaddress.ip_interface("fe80::1/10"),
    ],
    "model": Account(name="a", balance=Decimal("0.30"), tags=["x"]),
    "models": [
        Holder(account=Account(name="a", balance=Decimal("1.0")), pair=(1, 2)),
        Frozen(items=(1, 2)),
        Open(known=1, other=(1,)),
        Names(["a", "b"]),
        Secretive(password=SecretStr("s")),
    ],
    "models of dicts": [Table({1: "a"}), Table({}), Table.model_construct({True: "a"})],
    "a model that computes": [Summed(a=1), Summed(a=1, z=(2,))],
    "a model in a wider field": Holder(
        account=Savings(name="s", balance=Decimal("2"), rate=0.5), anything=Point(1.0, (2,))
    ),
    "models in any field": Holder(
        account=Account(name="a", balance=Decimal("1")),
        anything=[Account(name="b", balance=Decimal("2")), (1,), Colour.RED],
    ),
    "a model its validator changes": Trimmed(text="abc"),
    "a model with an alias": Aliased(theValue=3),
    "a model with private attributes": private(),
    "a model not validated": Account.model_construct(name=5, balance=1, tags=(1,)),
    "dataclasses": [Point(1.5, (1, [2])), FrozenPoint((1, 2)), Slotted((1,)), Point(-0.0)],
    "a dataclass that makes its fields": derived(),
    "pydantic dataclass": Checked(size=3, note=(1, 2)),
    "messages": [
        HumanMessage("hello", id="1"),
        HumanMessage([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": "u"}]),
        AIMessage("", tool_calls=[{"name": "t", "args": {"a": 1.0, "b": (1,)}, "id": "c"}], id="2"),
        AIMessage("x", response_metadata={"n": (1, 2**70)}, additional_kwargs={"refusal": None}),
        AIMessage(
            "y", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}, name="n"
        ),
        AIMessageChunk(
            "z", tool_call_chunks=[{"name": "t", "args": '{"a":', "id": "1", "index": 0}]
        ),
        ToolMessage("done", tool_call_id="c", id="3", status="error"),
        SystemMessage("\ud800 broken"),
        ChatMessage("x", role="critic"),
        FunctionMessage("x", name="f"),
        RemoveMessage(id="1"),
    ],
    "artifacts": ToolMessage(
        "found",
        tool_call_id="c",
        artifact=[
            Document("text", metadata={"page": 1, "span": (1, 2)}),
            Point(1.0),
            Account(name="a", balance=Decimal("1")),
            bytearray(b"x"),
        ],
    ),
    "a message without its calls": disarmed(),
    "document": Document("text", id="7", metadata={"at": ZONES[6]}),
    "interrupts": [
        Interrupt(value=("really?", {"n": 2**70}), id="i"),
        Interrupt(value=None, id=""),
    ],
    "sends": [Send("node", {"x": (1, 2)}), Send("other", Account(name="a", balance=Decimal("1")))],
    "commands": [
        Command(update={"a": (1,)}, goto=("x", "y")),
        Command(resume={"id": (1,)}, goto=Send("n", (1,))),
        Overwrite((1, 2)),
    ],
    "delta snapshot": _DeltaSnapshot([("a", (1,)), {2}]),
    "delta snapshot of nothing": _DeltaSnapshot(None),
    "item": Item(
        value={"a": (1,)},
        key="k",
        namespace=("n", "m"),
        created_at=ZONES[0],
        updated_at=ZONES[6],
    ),
    "looks like a number": "00012",
    "looks like a date": "2026-01-02T03:04:05Z",
    "deep": [[[[[[[[[[(((((1,),),),),)]]]]]]]]]],
}


def pydantic_1_values() -> dict[str, Any]:
    """Models of pydantic 1, where this interpreter has it."""
    if sys.version_info >= (3, 14):
        return {}
    from .pydantic_1 import OldAccount, OldHolder

    plain = OldAccount(name="a", balance=Decimal("1.50"))
    return {
        "pydantic 1 model": plain,
        "pydantic 1 nested": OldHolder(account=plain, anything=(1, plain), many=[plain]),
        "pydantic 1 not validated": OldAccount.construct(name=5, balance=1.0),
    }


def numpy_values(numpy: types.ModuleType) -> dict[str, Callable[[], Any]]:
    """Arrays and scalars of NumPy."""
    return {
        "integers": lambda: numpy.arange(12, dtype="int32").reshape(3, 4),
        "columns first": lambda: numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        "a slice": lambda: numpy.arange(20)[::3],
        "other byte order": lambda: numpy.arange(3, dtype=">i8"),
        "not numbers": lambda: numpy.array([numpy.nan, -0.0, numpy.inf]),
        "complex": lambda: numpy.array([1 + 2j]),
        "text": lambda: numpy.array(["a", "bcd"]),
        "booleans": lambda: numpy.array([True, False]),
        "empty": lambda: numpy.zeros((0, 3)),
        "large": lambda: numpy.random.default_rng(1).random(10_000),
        "float64": lambda: numpy.float64(0.1),
        "nested": lambda: {"a": [(numpy.arange(2), 1)], "m": Point(1.0, numpy.arange(3))},
    }


def differences(one: Any, other: Any, where: str = "value") -> Iterator[str]:
    """Say where two values differ, in type or in value, all the way down."""
    if type(one) is not type(other):
        kinds = type(one).__name__, type(other).__name__
        yield f"{where}: {kinds[0]} {one!r:.80} is not {kinds[1]} {other!r:.80}"
    elif isinstance(one, dict):
        if getattr(one, "default_factory", None) is not getattr(other, "default_factory", None):
            yield f"{where}: default factory {one!r:.80} is not {other!r:.80}"
        yield from differences(list(one), list(other), f"keys of {where}")
        for key, found in zip(one, other.values(), strict=False):
            yield from differences(one[key], found, f"{where}[{key!r:.40}]")
    elif isinstance(one, list | tuple | deque):
        if len(one) != len(other) or getattr(one, "maxlen", 0) != getattr(other, "maxlen", 0):
            yield f"{where}: {one!r:.80} is not {other!r:.80}"
        for index, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, f"{where}[{index}]")
    elif isinstance(one, set | frozenset):
        yield from differences(sorted(one, key=repr), sorted(other, key=repr), f"{{{where}}}")
    elif type(one).__module__ == "numpy" and hasattr(one, "tobytes"):
        for part in ("dtype", "shape", "tobytes"):
            left, right = getattr(one, part), getattr(other, part)
            if (left() if callable(left) else left) != (right() if callable(right) else right):
                yield f"{where}.{part}: {one!r:.80} is not {other!r:.80}"
    elif isinstance(one, datetime | time):
        if one != other or one.fold != other.fold or repr(one) != repr(other):
            yield f"{where}: {one!r} is not {other!r}"
        yield from differences(one.tzinfo, other.tzinfo, f"{where}.tzinfo")
    elif state := _state(one):
        yield from differences(state, _state(other), where)
    elif isinstance(one, int):
        if one != other:
            yield f"{where}: two different integers"
    elif isinstance(one, float | complex | Decimal):
        if repr(one) != repr(other):
            yield f"{where}: {one!r} is not {other!r}"
    elif one != other:
        yield f"{where}: {one!r:.80} is not {other!r:.80}"


def _state(value: Any) -> dict[str, Any]:
    """The parts of an object that has fields."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, BaseModel):
        return {
            "fields": value.__dict__,
            "extra": value.__pydantic_extra__,
            "private": value.__pydantic_private__,
        }
    if isinstance(value, Item | Send | Interrupt):
        return {name: getattr(value, name) for name in type(value).__slots__}
    if hasattr(value, "__fields_set__"):
        return dict(value.__dict__)
    return {}

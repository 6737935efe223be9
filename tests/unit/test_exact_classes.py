"""Classes of the user's that keep more than they show, or change what they are given."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import sys
import threading
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.store.base import SearchItem
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    Secret,
    SecretStr,
    field_validator,
    model_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from shared.exact_values import Derived, Money, Point, Rate, Recent, differences

from langgraph import types
from langgraph.checkpoint.kusto import ExactSerializer


def back(value: Any) -> Any:
    serde = ExactSerializer()
    return serde.loads_typed(serde.dumps_typed(value))


def with_attributes(value: Any, **attributes: Any) -> Any:
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


# ------------------------------------------------------------------------------------------- exact


@dataclasses.dataclass(frozen=True)
class Task:
    """Has what makes a `Send` for LangGraph, and more."""

    node: str
    arg: Any
    weight: int = 0


class Errand:
    """The same, and no dataclass."""

    def __init__(self, node: str, arg: Any) -> None:
        self.node = node
        self.arg = arg
        self.weight = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Errand) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.node)


class OwnSend(types.Send): ...


@dataclasses.dataclass
class Parent:
    """LangGraph takes it for a model of pydantic 1, whose children become dicts."""

    child: Any

    def dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


class Shown:
    """Has all it needs in its dict, and shows a part."""

    def __init__(self, a: int, b: Any) -> None:
        self.a = a
        self.b = b

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shown) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return self.a

    def model_dump(self) -> dict[str, Any]:
        return {"a": self.a, "b": 0}


class Half(NamedTuple):
    """Shows less than it is."""

    value: Any
    kind: Any = None

    def dict(self) -> dict[str, Any]:
        return {"value": self.value}


class Record:
    """Looks like a named tuple."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.fields == other.fields

    def __hash__(self) -> int:
        return len(self.fields)

    def _asdict(self) -> dict[str, Any]:
        return self.fields


class Choices(set[Any]):
    def dict(self) -> dict[str, Any]:
        return {}


class Upper(dict[str, Any]):
    """Shows its items otherwise than it keeps them."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key).upper()


class Temperature(float):
    def __new__(cls, value: float, unit: str = "C") -> Temperature:
        made = super().__new__(cls, value)
        made.unit = unit  # type: ignore[attr-defined]
        return made


class Keyed(list[Any]):
    """Carries what cannot be stored, and makes it anew."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(items)
        self.key = len


class Reversing(set[Any]):
    """Has its items in another order than they were given."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(reversed(list(items)))


class Frozen(frozenset[Any]): ...


class Badge(BaseModel):
    """Has a field as messages have it, which validation changes."""

    name: str

    @field_validator("name")
    @classmethod
    def shorten(cls, name: str) -> str:
        return name[1:]


@pydantic_dataclass(config=ConfigDict(extra="allow"))
class Loose:
    a: int


class Odd(enum.Enum):
    TABLE = {"a": [(1,)]}  # noqa: RUF012 - a member
    PARTS = frozenset({1})
    HALF = 0.5
    PLAIN = b"x"
    NOTHING = None


class Code(enum.IntFlag):
    A = 1
    B = 2


class OwnPath(type(pathlib.Path())): ...  # type: ignore[misc]


class Key(SecretStr): ...


class Digits(Secret[tuple[int, ...]]): ...


class Terse(BaseModel):
    """Its dump says nothing its class takes."""

    a: int

    @model_serializer
    def tell(self) -> dict[str, Any]:
        return {"about": self.a}


MOMENT = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Vienna"))
EXACT: dict[str, Any] = {
    "a dataclass like a send": Task("n", (1,), 5),
    "a class like a send": Errand("n", (1,)),
    "a send of the user's": OwnSend("n", (1,)),
    "a dataclass that dumps": Parent([Point(1.0, (1,)), Parent(Parent(1))]),
    "a class that shows a part": Shown(1, (2, Rate(1.5))),
    "a tuple that shows a part": Half((1,), 2),
    "a class like a named tuple": Record(a=(1,), b=Rate(1.5)),
    "a set that shows nothing": Choices({(1,)}),
    "an attribute the class makes": Temperature(1.5),
    **{f"a member, {member.name}": member for member in Odd},
    "flags": [Code.A | Code.B, Code(0), ~Code.A, Code(9)],
    "a path": OwnPath("a/b"),
    "a path without parts": OwnPath("."),
    "a secret": [Key("s"), SecretStr("")],
    "a secret that is no text": Digits((1, 2)),
    "what a search found": SearchItem(("n",), "k", {"a": (1,)}, MOMENT, MOMENT, score=1.0),
    "a model that says little": Terse(a=1),
    "a frozen set": [frozenset({Task("a", (1,))}), Frozen([(1,)])],
    "what cannot be stored, made anew": Keyed([1]),
    "a set in another order": Reversing([0, 8]),
    "a model like a message": [Badge(name="abc"), Badge.model_construct(name=5)],
    "a class that takes more fields": Loose(a=1),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("nested", [False, True])
def test_a_value_comes_back_as_it_was(name: str, nested: bool) -> None:
    value = {"a": [(EXACT[name],)]} if nested else EXACT[name]
    found = back(value)
    assert list(differences(value, found)) == []
    assert found == value


def test_a_send_with_a_timeout() -> None:
    if not hasattr(types, "TimeoutPolicy"):
        pytest.skip("this LangGraph has no timeouts")
    value = types.Send("n", (1,), timeout=types.TimeoutPolicy(run_timeout=5.0))
    assert list(differences(value, back([value])[0])) == []
    with pytest.raises(TypeError, match=r"OwnSend .* refuses its own value"):
        back(OwnSend("n", (1,), timeout=types.TimeoutPolicy(run_timeout=5.0)))


def test_attributes_that_are_no_fields_are_left_out() -> None:
    found = back(with_attributes(Derived(1), beside=5))
    assert (found, hasattr(found, "beside")) == (Derived(1), False)


def test_a_set_in_another_order_is_in_that_order() -> None:
    assert list(EXACT["a set in another order"]) != [0, 8]


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy", raising=False)
    assert list(differences([Money("1.10")], back([Money("1.10")]))) == []


def test_what_a_dict_keeps_comes_back_not_what_it_shows() -> None:
    assert list(dict.items(back(Upper(a="b")))) == [("a", "b")]


class Worker(BaseModel):
    """Counts beside a lock."""

    name: str
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _count: int = PrivateAttr(0)


def test_one_private_attribute_that_cannot_be_stored_does_not_lose_the_others() -> None:
    found = back(with_attributes(Worker(name="w"), _count=5))
    assert (found.name, found._count) == ("w", 5)
    assert found._lock.acquire(blocking=False)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    left_out: Any = Field(default=None, exclude=True)


def test_a_class_that_wants_no_more_fields() -> None:
    assert back(Strict.model_construct(a="no number")).a == "no number"


def test_looking_at_a_value_tells_nobody() -> None:
    """A look at how it comes back is no reading; events are for what readers allow."""
    events: list[Any] = []
    stop = register_serde_event_listener(events.append)
    try:
        ExactSerializer().dumps_typed([Money("1"), Recent([1]), Odd.TABLE, Key("s")])
    finally:
        stop()
    assert events == []

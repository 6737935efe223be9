"""Values that a class of the user's would not give back, and would say nothing: refused."""

from __future__ import annotations

import collections
import dataclasses
import enum
import pathlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from importlib import resources
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, model_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass
from shared.exact_values import Basket, Blob, Money, Pair, Point, Recent

from langgraph.checkpoint.kusto import ExactSerializer
from langgraph.checkpoint.kusto._exact import _same
from langgraph.checkpoint.kusto._losses import InexactError


def with_attributes(value: Any, **attributes: Any) -> Any:
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


class Errand:
    """Has what makes a `Send` for LangGraph."""

    def __init__(self, node: str, arg: Any) -> None:
        self.node = node
        self.arg = arg
        self.weight = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Errand)

    def __hash__(self) -> int:
        return hash(self.node)


class Temperature(float):
    def __new__(cls, value: float, unit: str = "C") -> Temperature:
        made = super().__new__(cls, value)
        made.unit = unit  # type: ignore[attr-defined]
        return made


class OwnPath(type(pathlib.Path())): ...  # type: ignore[misc]


class Slotted(Decimal):
    __slots__ = ("currency",)


class Floats(list[float]):
    def __init__(self, items: Any = ()) -> None:
        super().__init__(map(float, items))


class Measured(NamedTuple("Measured", [("a", Any)])):
    def __new__(cls, a: Any) -> Measured:
        return super().__new__(cls, float(a))


class FloatSet(set[float]):
    def __init__(self, items: Any = ()) -> None:
        super().__init__(map(float, items))


class Even(list[int]):
    """Shows a part of what it keeps."""

    def __iter__(self) -> Iterator[int]:
        return (item for item in list.__iter__(self) if item % 2 == 0)


class Growing(dict[str, int]):
    """Keeps more than it is given."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(items)
        dict.__setitem__(self, f"n{len(self)}", 1)


class Positive(float):
    def __new__(cls, value: float) -> Positive:
        return super().__new__(cls, abs(value))


class Tree(collections.defaultdict[str, Any]):
    def __init__(self, items: Any = ()) -> None:
        super().__init__(Tree, items)


class Never(enum.Enum):
    NAN = float("nan")


@dataclasses.dataclass(eq=False)
class Alone:
    """Equals itself only."""

    a: int


class Lonely(enum.Enum):
    ONE = Alone(1)


class Shifting(enum.Enum):
    """Finds another member than asked for."""

    ONE = 1
    TWO = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls.ONE


class Doubling(Decimal):
    def __new__(cls, value: Any) -> Doubling:
        return super().__new__(cls, 2 * Decimal(value))


class Hiding:
    def __init__(self, a: int) -> None:
        self.a = a
        self.hidden = 0

    def dict(self) -> dict[str, Any]:
        return {"a": self.a}


class Guarding:
    """Gives out its secret, and not how it was made."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.used = 0

    def get_secret_value(self) -> str:
        return self.secret


class Tuned:
    """Its dump makes another class of it."""

    def __new__(cls, **_: Any) -> Any:
        return Point(1.0)

    def model_dump(self) -> dict[str, Any]:
        return {}


class Mute(BaseModel):
    a: int

    @model_serializer
    def tell(self) -> str:
        return str(self.a)


@pydantic_dataclass(config=ConfigDict(extra="allow"))
class Loose:
    a: int


class Clipped(list[Any]):
    """Takes the first item only."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(list(items)[:1])


def list_() -> list[Any]:
    return []


list_.__name__ = "list"


@dataclasses.dataclass
class Doubled:
    """A property changes its field."""

    a: int

    @property  # type: ignore[no-redef]
    def a(self) -> int:
        return self._a

    @a.setter
    def a(self, value: int) -> None:
        self._a = 2 * value


def changed(value: Any, item: Any) -> Any:
    """A value into which something was put behind the back of its class."""
    (value.append if isinstance(value, list) else value.add)(item)
    return value


def tree() -> Tree:
    value = Tree({"a": 1})
    value.default_factory = None  # as one does to freeze it
    return value


def unlike(kind: Any, value: float) -> Any:
    return float.__new__(kind, value)


def bare() -> Temperature:
    value = Temperature(1.5)
    del value.unit  # type: ignore[attr-defined]
    return value


def tuned() -> Tuned:
    return object.__new__(Tuned)


OWN = "it has attributes of its own)"
OTHER = "its class makes something else of its own value)"
REFUSED: dict[str, tuple[Any, str, str]] = {
    "attributes of a named tuple": (
        with_attributes(type("Sub", (Pair,), {})(1, 2), a=1),
        "Sub",
        OWN,
    ),
    "attributes of a set": (with_attributes(Basket([1]), a=1), "Basket", OWN),
    "attributes of a deque": (with_attributes(Recent(), a=1), "Recent", OWN),
    "attributes of a number": (with_attributes(Money("1"), a=1), "Money", OWN),
    "attributes of bytes": (with_attributes(Blob(b"1"), a=1), "Blob", OWN),
    "attributes of a path": (with_attributes(OwnPath("a"), a=1), "OwnPath", OWN),
    "slots": (with_attributes(Slotted("1"), currency="EUR"), "Slotted", OWN),
    "another attribute": (Temperature(1.5, "F"), "Temperature", OWN),
    "an attribute of another type": (
        with_attributes(Temperature(1.5), unit=pathlib.Path("C")),
        "Temperature",
        OWN,
    ),
    "a default factory taken away": (tree(), "Tree", OWN),
    "an attribute of what is like a send": (
        with_attributes(Errand("n", 1), weight=5),
        "Errand",
        OWN,
    ),
    "an attribute of a secret": (with_attributes(Guarding("s"), used=1), "Guarding", OWN),
    "a list of other numbers": (changed(Floats([1]), 2), "Floats", OTHER),
    "a tuple of other numbers": (Measured._make([1]), "Measured", OTHER),
    "a set of other numbers": (changed(FloatSet(), True), "FloatSet", OTHER),
    "a list that shows a part": (Even([1, 2]), "Even", OTHER),
    "a dict that grows": (Growing(), "Growing", OTHER),
    "minus zero": (unlike(Positive, -0.0), "Positive", OTHER),
    "a number that doubles": (Doubling(1), "Doubling", "but as Doubling)"),
    "a list that is cut": (changed(Clipped([1]), 2), "Clipped", OTHER),
    "an attribute taken away": (bare(), "Temperature", OWN),
    "a factory like a builtin's": (
        collections.defaultdict(list_),
        "defaultdict",
        "its default factory is <function list_ ",
    ),
    "a member that is not found": (Never.NAN, "Never", "no member is found by its value)"),
    "a member that equals itself": (Lonely.ONE, "Lonely", "no member is found by its value)"),
    "a class that hides": (
        with_attributes(Hiding(1), hidden=7),
        "Hiding",
        "its class refuses its own value: ",
    ),
    "a class that makes another": (tuned(), "Tuned", OTHER),
    "a model that is text in its dump": (Mute(a=1), "Mute", "its class refuses its own fields)"),
    "more fields than named": (
        Loose(a=1, b=2),
        "Loose",
        "it has fields that its class does not name)",
    ),
    "a property": (Doubled(1), "Doubled", "its class makes something else of its own fields)"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("nested", [False, True])
def test_what_would_not_come_back_is_refused(name: str, nested: bool) -> None:
    value, kind, why = REFUSED[name]
    with pytest.raises(InexactError) as refused:
        ExactSerializer().dumps_typed({"a": [(value,)]} if nested else value)
    assert f".{kind} would not come back as it was ({why}" in str(refused.value)


def test_a_member_found_for_another_is_refused() -> None:
    member = Shifting.TWO
    member._value_ = 3
    try:
        with pytest.raises(TypeError, match=r"Shifting .*\(another member is found by its value\)"):
            ExactSerializer().dumps_typed(member)
    finally:
        member._value_ = 2


def test_a_zone_read_from_a_file_is_refused() -> None:
    """By its name a reader would find another one, or none."""
    tzdata = pytest.importorskip("tzdata", reason="no file of a zone is known here")
    with (resources.files(tzdata) / "zoneinfo" / "Europe" / "Vienna").open("rb") as file:
        zone = ZoneInfo.from_file(file)
    for value in (
        zone,
        datetime(2026, 1, 1, tzinfo=zone),
        datetime(2026, 1, 1, tzinfo=zone).timetz(),
    ):
        with pytest.raises(TypeError, match=r"ZoneInfo .* \(it was read from a file\)"):
            ExactSerializer().dumps_typed([value])


def test_more_than_microseconds_are_refused() -> None:
    class Fine(datetime):
        nanosecond = 0

    value = with_attributes(Fine(2026, 1, 1), nanosecond=1)
    with pytest.raises(TypeError, match=r"Fine .* \(its class makes something else"):
        ExactSerializer().dumps_typed(value)


def test_what_cannot_be_packed_is_the_same_as_nothing() -> None:
    assert _same(len, len) is False
    assert _same(1, True) is False
    assert _same([0.0, (1,)], [0.0, (1,)]) is True

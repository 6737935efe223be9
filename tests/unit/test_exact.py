"""What is refused because it would not come back, what is left to LangGraph, and at what cost."""

from __future__ import annotations

import collections
import dataclasses
import enum
import logging
import threading
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_serializer
from shared.exact_values import Account, Point, Words, differences

from langgraph.checkpoint.kusto import ExactSerializer, _exact
from langgraph.checkpoint.kusto._exact import CONSTRUCTORS, Encoder
from langgraph.checkpoint.kusto._losses import InexactError


class Picky(dict[str, Any]):
    def __init__(self, *, wanted: int = 0) -> None:
        super().__init__(wanted=wanted)


class Loud(str):
    def __new__(cls, text: str) -> Loud:
        return super().__new__(cls, text.upper() + "!")


class Needy:
    """Looks like a model, and cannot be made again."""

    def dict(self) -> dict[str, Any]:
        return {"a": 1}


@dataclasses.dataclass
class Started:
    """Its constructor wants what is no field."""

    seed: dataclasses.InitVar[int]
    value: int = 0

    def __post_init__(self, seed: int) -> None:
        self.value = seed


@dataclasses.dataclass
class Cell:
    content: Any


class Zone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=3)

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        return "own"


class Client(BaseModel):
    """Holds what nobody can store, and says so."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: str
    lock: Any = Field(default=None, exclude=True)
    _cache: Any = PrivateAttr(default_factory=threading.Lock)


class Described(BaseModel):
    when: Any

    @field_serializer("when")
    def describe(self, when: Any) -> str:
        return f"at {when}"


def back(value: Any) -> Any:
    serde = ExactSerializer()
    return serde.loads_typed(serde.dumps_typed(value))


def marked(text: str) -> Words:
    value = Words(text)
    value.mark = 1  # type: ignore[attr-defined]
    return value


# ------------------------------------------------------------------------------------------ refused

REFUSED: dict[str, tuple[Any, str]] = {
    "a view": (memoryview(b"x"), r"builtins\.memoryview .* \(it is a view of memory\);"),
    "a view inside": ([memoryview(b"x")], "builtins.memoryview"),
    "a factory of the user's": (collections.defaultdict(lambda: 1), "its default factory"),
    "a dict that takes no dict": (Picky(wanted=1), "Picky .* refuses its own value"),
    "text that changes": (Loud("a"), "Loud .* makes something else of its own value"),
    "attributes of text": (marked("a"), "Words .* attributes of its own"),
    "a class that wants more": (Started(seed=1), "Started .* refuses its own fields"),
    "what only looks like a model": (Needy(), "Needy .* refuses its own fields"),
    "trouble beside keys": ({1: len}, "not msgpack serializable: builtin_function_or_method"),
    "a function": (len, "not msgpack serializable"),
    "a class": (Account, "not msgpack serializable: the class Account"),
    "a lock": (threading.Lock(), "not msgpack serializable"),
    "a range": (range(3), "not msgpack serializable"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("nested", [False, True])
def test_what_would_not_come_back_is_refused(name: str, nested: bool) -> None:
    value, message = REFUSED[name]
    value = {"a": [Point(1.0, (value,))]} if nested else value
    with pytest.raises(TypeError, match=message):
        ExactSerializer().dumps_typed(value)


def test_the_error_is_the_first_one() -> None:
    """Whatever it was wrapped in on the way out."""
    for value in (memoryview(b"x"), {1: memoryview(b"x")}, Point(1.0, [memoryview(b"x")])):
        with pytest.raises(InexactError, match=r"^a builtins\.memoryview .*\(it is a view of mem"):
            ExactSerializer().dumps_typed(value)
    with pytest.raises(InexactError, match=r"^a .*\.Words .*\(it has attributes of its own\)"):
        ExactSerializer().dumps_typed([marked("a")])
    with pytest.raises(TypeError, match=r"^AttributeError\(.*'x'"):
        ExactSerializer().dumps_typed([Point.__new__(Point)])


@pytest.mark.parametrize("size", [1, 255, 256, 65_535, 65_536])
def test_a_bytearray_of_any_size_is_found(size: int) -> None:
    for value in ([bytearray(size)], {"a": [bytearray(size)]}, {"a": bytes(size)}):
        found = back(value)
        assert list(differences(value, found)) == []


def test_a_look_for_bytearrays_is_taken_only_where_the_bytes_tell_of_binary_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Any] = []

    def look(value: Any) -> bool:
        looked.append(value)
        return False

    monkeypatch.setattr(_exact, "holds_buffer", look)
    for value in (["a", 1, {"k": [None]}], [bytes(1)], [bytes(256)], [bytes(65_536)]):
        Encoder().pack(value)
    assert looked == [[bytes(1)], [bytes(256)], [bytes(65_536)]]


def test_what_packb_hands_over_is_packed_at_once() -> None:
    """The other way copies every list and dict, and looks at each key."""

    class Direct(Encoder):
        def _pack_slowly(self, value: Any) -> bytes:
            raise AssertionError(value)

    account = Account(name="a", balance=Decimal("1"))
    value = {"a": [(1, {2}), 2**70, account, Point(1.0, b"x")], "b": datetime(2026, 1, 1)}
    assert Direct().pack(value) == Encoder().pack(value)


def test_the_error_names_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"convert it first, or pass a serde= that keeps it"):
        ExactSerializer().dumps_typed(Picky(wanted=1))


def test_a_structure_that_holds_itself_is_refused() -> None:
    for value in ([], {}):
        holder: Any = value
        if isinstance(holder, list):
            holder.append((holder,))
        else:
            holder[1] = holder
        with pytest.raises(TypeError):
            ExactSerializer().dumps_typed(holder)


def test_trouble_deep_inside_is_found_once() -> None:
    """Each level tries twice; that must not multiply."""
    value: Any = threading.Lock()
    for _ in range(40):
        value = Cell((value,))
    with pytest.raises(TypeError, match="not msgpack serializable"):
        ExactSerializer().dumps_typed(value)


def test_models_in_models_cost_what_they_hold() -> None:
    """A look at how a model comes back must not double with each level."""
    calls = 0

    class Counting(Encoder):
        def pack(self, value: Any) -> bytes:
            nonlocal calls
            calls += 1
            return super().pack(value)

    value: Any = Account(name="a", balance=Decimal("1"))
    for _ in range(20):
        value = Described(when=None).model_copy(update={"when": [value]})
    Counting().pack(value)
    assert calls < 2_000


# ---------------------------------------------------------------------------- said, and not refused


def test_a_class_inside_a_function_comes_back_as_its_data_and_is_named_when_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hidden(BaseModel):
        a: int

    with caplog.at_level(logging.WARNING):
        written = ExactSerializer().dumps_typed(Hidden(a=1))

    assert "Hidden come back as their plain data" in caplog.text
    assert ExactSerializer().loads_typed(written) == {"a": 1}


def test_every_form_names_a_class_that_is_not_found(caplog: pytest.LogCaptureFixture) -> None:
    class LocalWords(str): ...

    class LocalTuple(NamedTuple):
        a: int

    class LocalColour(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class LocalPoint:
        a: int

    values = {"LocalWords": LocalWords("x"), "LocalTuple": LocalTuple(1)}
    values |= {"LocalColour": LocalColour.RED, "LocalPoint": LocalPoint(1)}
    for name, value in values.items():
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            ExactSerializer().dumps_typed([value])
        assert f"{name} come back as their plain data" in caplog.text


def test_an_exception_becomes_its_text() -> None:
    assert back([ValueError("x")]) == ["ValueError('x')"]


def test_a_zone_of_another_library_becomes_its_offset() -> None:
    value = datetime(2026, 1, 1, tzinfo=Zone())
    found = back(value)
    assert found == value
    assert found.utcoffset() == timedelta(hours=3)


def test_fields_a_model_leaves_out_are_left_out() -> None:
    value = Client(name="n", lock=threading.Lock())
    found = back([value])[0]
    assert (type(found), found.name, found.lock) == (Client, "n", None)


def test_a_field_with_a_serializer_of_its_own_comes_back_as_the_field() -> None:
    found = back(Described(when=(1, 2)))
    assert found == Described(when=(1, 2))


def test_arrays_that_langgraph_loses_are_refused() -> None:
    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
    for array in (
        numpy.array([object()]),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.ma.array([1], mask=[True]),
        numpy.array(["2026-01-01"], dtype="datetime64[D]"),
    ):
        with pytest.raises(TypeError):
            ExactSerializer().dumps_typed({"a": array})


def test_of_pandas_what_is_exact() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    plain = pandas.Timestamp("2026-01-01 10:00:00.123456", tz="Europe/Vienna")
    assert back([plain]) == [plain]
    assert type(back(plain)) is type(plain)
    for value in (
        pandas.Timestamp(1),
        pandas.Timedelta(1, "D"),
        pandas.DataFrame({"a": [1]}),
        pandas.Series([1]),
    ):
        with pytest.raises(TypeError):
            ExactSerializer().dumps_typed(value)
        serde = ExactSerializer(pickle_fallback=True)
        found = serde.loads_typed(serde.dumps_typed(value))
        assert type(found) is type(value)


# ----------------------------------------------------------------------------------- what is stored


def test_the_names_in_stored_data_are_still_there() -> None:
    """Data written years ago calls them; a name that is missing here is lost values there."""
    assert sorted(CONSTRUCTORS) == [
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "dict"),
        ("builtins", "int"),
        ("builtins", "str"),
        ("builtins", "tuple"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("langchain_core.messages.base", "TextAccessor"),
        ("langgraph.checkpoint.kusto._restore", "default_dict"),
        ("langgraph.checkpoint.kusto._restore", "restored"),
    ]


def test_bytes_of_the_first_version_are_read() -> None:
    stored = bytes.fromhex(
        "82a161c7150093a86275696c74696e73a57475706c65920191a13ba162c7240193a86275696c74696e73a369"
        "6e7492b33078343030303030303030303030303030303010"
    )
    first = ExactSerializer().dumps_typed({"a": (1, [";"]), "b": 2**66})
    assert first == ("msgpack", stored)
    assert ExactSerializer().loads_typed(first) == {"a": (1, [";"]), "b": 2**66}


def test_bytes_of_a_lone_surrogate() -> None:
    stored = bytes.fromhex(
        "c7280193a86275696c74696e73a373747293c403eda080a57574662d38ad737572726f6761746570617373"
    )
    assert ExactSerializer().loads_typed(("msgpack", stored)) == "\ud800"
    assert ExactSerializer().dumps_typed("\ud800") == ("msgpack", stored)

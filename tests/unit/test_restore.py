"""What stored data calls by name, and what counts as the state of a model."""

from __future__ import annotations

import logging
import sys
import warnings
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel, Field
from shared.exact_values import (
    Account,
    Derived,
    FrozenPoint,
    Open,
    Point,
    derived,
    private,
    pydantic_1_values,
)

from langgraph.checkpoint.kusto import ExactSerializer
from langgraph.checkpoint.kusto._restore import (
    FACTORIES,
    READER,
    default_dict,
    dumped_model,
    fields_of,
    is_model,
    is_pydantic,
    rebuilt,
    restored,
    state_of,
)


class Lookalike:
    """Has the methods of a model, and is none."""

    def model_dump(self) -> dict[str, Any]:
        return {"a": 1}


class OldLookalike:
    def dict(self) -> dict[str, Any]:
        return {"b": 2}


def test_what_langgraph_takes_for_a_model() -> None:
    account = Account(name="a", balance=Decimal("1"))
    assert [is_model(value) for value in (account, Lookalike(), OldLookalike(), 1, {})] == [
        *(True, True, True, False, False)
    ]
    assert [is_pydantic(value) for value in (account, Lookalike(), OldLookalike())] == [
        *(True, False, False)
    ]
    assert dumped_model(Lookalike()) == state_of(Lookalike())["fields"] == {"a": 1}
    assert dumped_model(OldLookalike()) == state_of(OldLookalike())["fields"] == {"b": 2}


def test_a_dump_does_not_warn() -> None:
    """Pydantic warns of fields of other types, and of its older names."""
    value = Account.model_construct(name=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dumped_model(value) == {"name": 5, "tags": []}
        assert is_pydantic(value)
        assert not is_pydantic(Lookalike())


class Wide(BaseModel):
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0
    f: int = 0
    left_out: Any = Field(default=None, exclude=True)


def test_fields_that_are_no_part_of_the_state() -> None:
    names = list("fedcba")
    wide = Wide(**dict.fromkeys(names, 1), left_out=object())
    assert state_of(wide)["fields"] == dict.fromkeys("abcdef", 1)
    assert state_of(wide)["set"] == sorted(names)
    del wide.__dict__["a"]
    assert state_of(wide)["fields"] == dict.fromkeys("bcdef", 1)


class Refusing(BaseModel):
    a: int


class Plain:
    def __init__(self, a: int) -> None:
        self.a = a


def test_what_a_reader_makes_of_a_dump() -> None:
    assert rebuilt(Refusing, {"a": 1}) == Refusing(a=1)
    assert rebuilt(Refusing, {"a": "x"}).__dict__ == {"a": "x"}
    assert rebuilt(Plain, {"a": 1}).a == 1
    assert rebuilt(Plain, {"b": 1}) is None
    assert rebuilt(Plain, [2]).a == 2
    assert rebuilt(Plain, []) is None
    assert rebuilt(Refusing, [1]) is None
    assert rebuilt(Refusing, "text") is None


def test_what_a_reader_makes_is_made_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        assert rebuilt(Refusing, {"a": "x"}).a == "x"
        assert rebuilt(Plain, {"b": 1}) is None
        assert rebuilt(Refusing, [1]) is None
    refused = f"{Refusing} refuses its own dump"
    assert [(record.getMessage(), bool(record.exc_info)) for record in caplog.records] == [
        (refused, True),
        (f"{Plain} refuses its own dump", True),
        (refused, True),
        (f"{Refusing} cannot be made of its own dump", True),
    ]


def test_what_a_reader_makes_of_a_pydantic_1_model() -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("this Python has no pydantic 1")
    from shared.pydantic_1 import OldAccount

    assert rebuilt(OldAccount, {"name": "a", "balance": "x"}).__dict__ == {
        "name": "a",
        "balance": "x",
    }
    model = OldAccount.construct(_fields_set=set("fedcba"), name="a")
    assert state_of(model)["set"] == list("abcdef")


def test_what_was_just_written_is_read_whatever_it_is() -> None:
    value = [Account(name="a", balance=Decimal("1")), Point(1.0)]
    events: list[Any] = []
    stop = register_serde_event_listener(events.append)
    try:
        assert READER.loads_typed(JsonPlusSerializer().dumps_typed(value)) == value
    finally:
        stop()
    assert events == []


def test_parts_that_only_one_side_has() -> None:
    """The class may have begun or stopped to take extra fields since."""
    state: dict[str, Any] = {"fields": {"known": 5}, "extra": None, "private": None, "set": []}
    assert restored(private(), state)._hidden == [(1, 2)]
    assert restored(Open(known=1, old=1), state).__pydantic_extra__ == {"old": 1}
    closed = restored(Wide(a=1), {**state, "extra": {"x": 1}, "private": {"_y": 2}})
    assert closed.__pydantic_extra__ is None
    assert closed.__pydantic_private__ is None


def test_the_state_of_a_model() -> None:
    assert state_of(Open(known=1, other=(2,))) == {
        "fields": {"known": 1},
        "extra": {"other": (2,)},
        "private": None,
        "set": ["known"],
    }
    assert state_of(private()) == {
        "fields": {"shown": 2},
        "extra": None,
        "private": {"_hidden": [(1, 2)]},
        "set": ["shown"],
    }
    assert state_of(Point(1.0, [2])) == {"fields": {"x": 1.0, "y": [2]}}
    assert fields_of(derived()) == {"base": 2, "doubled": 40}


def test_the_state_of_a_pydantic_1_model() -> None:
    models = pydantic_1_values()
    if not models:
        pytest.skip("this Python has no pydantic 1")
    model = models["pydantic 1 not validated"]
    assert state_of(model) == {
        "fields": {"name": 5, "balance": 1.0},
        "private": None,
        "set": ["balance", "name"],
    }
    shell = models["pydantic 1 model"].copy()
    found = restored(shell, {"fields": {"name": 7}, "set": ["name"]})
    assert found is shell
    assert (found.name, found.balance, found.__fields_set__) == (7, Decimal("1.50"), {"name"})


def test_private_attributes_of_a_pydantic_1_model() -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("this Python has no pydantic 1")
    from shared.pydantic_1 import OldCounter

    model = OldCounter(name="a")
    assert state_of(model)["private"] == {"_count": 0}
    model._count = 5
    state = state_of(model)
    assert state["private"] == {"_count": 5}
    found = restored(OldCounter(name="a"), {**state, "private": {"_count": 5, "_gone": 1}})
    assert (found._count, hasattr(found, "_late"), hasattr(found, "_gone")) == (5, False, False)
    kept = restored(model, {**state, "private": None})
    assert kept._count == 5
    serde = ExactSerializer()
    again = serde.loads_typed(serde.dumps_typed(model))
    assert (type(again), again, again._count) == (OldCounter, model, 5)


def test_a_state_is_put_back() -> None:
    found = restored(private().model_copy(), {**state_of(private()), "private": {"_hidden": [3]}})
    assert (found.shown, found._hidden) == (2, [3])
    opened = restored(Open(known=1, old=1), {**state_of(Open(known=2)), "extra": {"new": 2}})
    assert (opened.known, opened.__pydantic_extra__) == (2, {"new": 2})
    assert restored(Derived(7), {"fields": {"doubled": 3, "gone": 1}}) == derived_with(8, 3)
    frozen = FrozenPoint((1,))
    assert restored(frozen, {"fields": {"x": (2,)}}).x == (2,)


def derived_with(base: int, doubled: int) -> Derived:
    value = Derived(base - 1)
    value.doubled = doubled
    return value


def test_a_model_whose_class_changed_since_keeps_what_it_still_has() -> None:
    value = Account(name="now", balance=Decimal("1"), tags=["added"])
    state = {"fields": {"name": "then", "gone": 1}, "extra": None, "private": None, "set": ["gone"]}
    found = restored(value, state)
    assert found.__dict__ == {"name": "then", "balance": Decimal("1"), "tags": ["added"]}
    assert found.model_fields_set == set()


@pytest.mark.parametrize("data", [{"a": 1}, [1], "text", None, 5])
def test_restoring_what_the_allowlist_refused_gives_its_data(data: Any) -> None:
    assert restored(data, {"fields": {"a": 2}}) == data


def test_a_default_factory_is_one_of_a_few() -> None:
    with pytest.raises(KeyError):
        default_dict("eval", {})


def test_default_dicts() -> None:
    assert list(FACTORIES) == [
        *("None", "bool", "bytes", "dict", "float", "int", "list", "set", "str", "tuple")
    ]
    for name, factory in FACTORIES.items():
        found = default_dict(name, {"a": 1})
        assert type(found) is defaultdict
        assert found.default_factory is factory
        assert found == {"a": 1}

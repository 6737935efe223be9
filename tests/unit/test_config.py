"""Configs: ids are opaque text, coerced and checked once."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._config import (
    MAX_ID_BYTES,
    Place,
    as_config,
    check_dict,
    check_optional,
    check_text,
    checkpoint_map_of,
    configurable_of,
    read_place,
    run_id_of,
)
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto.errors import InvalidConfigError, MissingThreadIdError


def config(**configurable: Any) -> dict[str, Any]:
    return {"configurable": configurable}


NASTY_IDS = [
    "1",
    " ",
    "it's",
    'a"b',
    "a\nb",
    "a|b:c",
    "~|1",
    "🙂",
    "漢字",
    "a\\",
    "\x00",
    "'] | take 1 //",
    "${x}",
    "null",
    "1e5",
    "2026-01-01",
    "x" * MAX_ID_BYTES,
]


@pytest.mark.parametrize("text", NASTY_IDS)
def test_ids_are_opaque(text: str) -> None:
    place = read_place(config(thread_id=text, checkpoint_ns=text, checkpoint_id=text))

    assert place == Place(text, text, text)
    assert place.key(text) == CheckpointKey(text, text, text)
    assert as_config(place.key(text)) == config(
        thread_id=text, checkpoint_ns=text, checkpoint_id=text
    )


THREAD = uuid.UUID("0d5a1a4e-6d2e-4b52-9e0a-7e2d8a4e7f11")


@pytest.mark.parametrize(
    ("given_id", "text"),
    [(5, "5"), (0, "0"), (False, "False"), (1.5, "1.5"), (THREAD, str(THREAD))],
)
def test_thread_ids_become_text(given_id: Any, text: str) -> None:
    assert read_place(config(thread_id=given_id)).thread_id == text


@pytest.mark.parametrize(
    "given_id",
    [
        *(b"t", bytearray(b"t"), memoryview(b"t"), ["t"], ("t",), {"t"}, frozenset({"t"})),
        config(thread_id="t"),
    ],
)
def test_what_only_prints_is_no_thread_id(given_id: Any) -> None:
    kind = type(given_id).__name__
    with pytest.raises(InvalidConfigError) as caught:
        read_place(config(thread_id=given_id))
    assert str(caught.value) == (
        f"thread_id must be text, or a number or UUID that prints as it, not {kind};"
        " pass the id alone"
    )


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("name", ["thread_id", "run_id"])
def test_an_id_that_cannot_be_printed(name: str) -> None:
    read = read_place if name == "thread_id" else run_id_of
    with pytest.raises(InvalidConfigError) as caught:
        read({"configurable": {name: Unprintable()}})
    assert str(caught.value) == (
        f"{name} is a Unprintable, which cannot be printed (RuntimeError: no); pass text"
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("given_config", [None, [], "t", 5])
def test_a_config_is_a_dict(given_config: Any) -> None:
    kind = type(given_config).__name__
    with pytest.raises(InvalidConfigError) as caught:
        read_place(given_config)
    assert str(caught.value) == (
        f"the config must be a dict, not {kind};"
        ' pass {"configurable": {"thread_id": "<any non-empty text>"}}'
    )
    assert not isinstance(caught.value, MissingThreadIdError)


def test_what_has_to_be_a_dict() -> None:
    assert check_dict("metadata", {"a": 1}, "pass {}") == {"a": 1}
    with pytest.raises(InvalidConfigError, match=r"^metadata must be a dict, not set; pass \{\}$"):
        check_dict("metadata", set(), "pass {}")


class Blank:
    def __str__(self) -> str:
        return ""


@pytest.mark.parametrize(
    "without",
    [
        {},
        {"configurable": None},
        {"configurable": {}},
        {"configurable": []},
        {"configurable": "thread_id"},
        {"tags": ["x"]},
        config(thread_id=None),
        config(thread_id=""),
        config(thread_id=Blank()),
        config(checkpoint_ns="", checkpoint_id="1"),
    ],
)
def test_without_a_thread_id(without: dict[str, Any]) -> None:
    with pytest.raises(MissingThreadIdError, match=r'pass \{"configurable": \{"thread_id":'):
        read_place(without)


def test_what_a_config_leaves_open() -> None:
    """Many of LangGraph's calls carry `checkpoint_id: None`; the first read has no namespace."""
    assert read_place(config(thread_id="t")) == Place("t", None, None)
    assert read_place(config(thread_id="t", checkpoint_ns="", checkpoint_id=None)) == Place(
        "t", "", None
    )
    assert read_place(config(thread_id="t", checkpoint_id="")).checkpoint_id is None
    assert check_optional("before", "") is check_optional("before", None) is None
    assert check_optional("before", "1") == "1"
    assert Place("t", None, None).namespace == ""
    assert Place("t", "child", None).namespace == "child"
    assert Place("t", None, None).key("7") == CheckpointKey("t", "", "7")


@pytest.mark.parametrize("field", ["checkpoint_ns", "checkpoint_id"])
@pytest.mark.parametrize("value", [5, b"x", ["x"], THREAD, 0, False, b"", []])
def test_other_ids_have_to_be_text(field: str, value: Any) -> None:
    with pytest.raises(InvalidConfigError, match=f"^{field} must be text, not "):
        read_place({"configurable": {"thread_id": "t", field: value}})


@pytest.mark.parametrize("field", ["thread_id", "checkpoint_ns", "checkpoint_id"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\ud800", "lone surrogate"),
        ("x" * (MAX_ID_BYTES + 1), "65537 bytes, more than 65536"),
        ("漢" * (MAX_ID_BYTES // 3 + 1), "65538 bytes, more than 65536"),
    ],
)
def test_text_that_cannot_be_stored(field: str, text: str, message: str) -> None:
    with pytest.raises(InvalidConfigError, match=f"^{field} .*{message}"):
        read_place({"configurable": {"thread_id": "t", field: text}})


def test_a_message_about_a_long_id_is_short() -> None:
    for text in ("\ud800" * 100_000, "x" * 10_000_000):
        with pytest.raises(InvalidConfigError) as caught:
            check_text("thread_id", text)
        assert len(str(caught.value)) < 1_000


@given(st.text(max_size=20))
def test_text_is_kept_or_refused_never_changed(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(InvalidConfigError):
            check_text("channel", text)
    else:
        assert check_text("channel", text) == text


def test_of_a_subclass_of_str_the_plain_text_is_taken() -> None:
    """What it overrides would run wherever an id is looked up."""

    class Loud(str):
        __slots__ = ()

        def __hash__(self) -> int:
            raise AssertionError

        def __str__(self) -> str:
            raise AssertionError

        def isascii(self) -> bool:
            raise AssertionError

    found = check_text("thread_id", Loud("é"))
    assert type(found) is str
    assert found == "é"


# ------------------------------------------------------------------------------------ what else


@pytest.mark.parametrize(
    ("given_config", "run_id"),
    [
        ({}, ""),
        ({"metadata": {}, "configurable": {}}, ""),
        ({"metadata": None, "configurable": None}, ""),
        ({"metadata": {"run_id": "r"}}, "r"),
        ({"configurable": {"run_id": "r"}}, "r"),
        ({"metadata": {"run_id": "m"}, "configurable": {"run_id": "c"}}, "m"),
        ({"metadata": {"run_id": ""}, "configurable": {"run_id": "c"}}, "c"),
        ({"metadata": {"run_id": THREAD}}, str(THREAD)),
    ],
)
def test_run_id(given_config: dict[str, Any], run_id: str) -> None:
    assert run_id_of(given_config) == run_id


def test_a_run_id_that_cannot_be_stored() -> None:
    with pytest.raises(InvalidConfigError, match=r"^run_id .*lone surrogate"):
        run_id_of({"metadata": {"run_id": "\ud800"}})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, {}),
        ("x", {}),
        ({}, {}),
        ({"": "1"}, {"": "1"}),
        ({"": "1", "a:b": None, "c:d": ""}, {"": "1"}),
        ({"a": 5}, {"a": "5"}),
    ],
)
def test_checkpoint_map(found: Any, expected: dict[str, str]) -> None:
    assert checkpoint_map_of(config(thread_id="t", checkpoint_map=found)) == expected


@pytest.mark.parametrize("found", [{"": "\ud800"}, {"\ud800": "1"}, {"x" * 65_537: "1"}])
def test_a_checkpoint_map_that_cannot_be_asked_for(found: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"^checkpoint_map .*(decode|shorten)"):
        checkpoint_map_of(config(thread_id="t", checkpoint_map=found))


def test_checkpoint_map_of_a_config_without_one() -> None:
    assert checkpoint_map_of(config(thread_id="t")) == {}
    with pytest.raises(MissingThreadIdError):
        checkpoint_map_of({})


def test_configurable() -> None:
    assert configurable_of({"configurable": {"a": 1}}) == {"a": 1}

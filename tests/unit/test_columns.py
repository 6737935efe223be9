"""The copies for people who write KQL: bounded, and never an error whatever the metadata."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._columns import COPY_BYTES, kql_columns

DYNAMIC_BYTES = 2**20  # a larger dynamic is null, without an error


def test_the_usual() -> None:
    metadata = {"source": "loop", "step": 3, "parents": {"": "1ef"}, "user": "ada"}

    assert kql_columns(metadata, {"messages": "00001.5", "n": 7}) == {
        "step": 3,
        "source": "loop",
        "metadata": metadata,
        "channel_versions": {"messages": "00001.5", "n": 7},
    }


@pytest.mark.parametrize(
    ("step", "column"),
    [
        (-1, -1),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, None),
        (True, None),
        (1.0, None),
        ("1", None),
        (None, None),
    ],
)
def test_step_is_a_long_or_null(step: Any, column: int | None) -> None:
    assert kql_columns({"step": step}, {})["step"] == column


@pytest.mark.parametrize("source", [None, 5, ["loop"], {}])
def test_source_is_text_or_empty(source: Any) -> None:
    assert kql_columns({"source": source}, {})["source"] == ""
    assert kql_columns({}, {})["source"] == ""


class Score(float):
    """Like NumPy's float64, which is a float to Python and unknown to orjson."""


class Count(int):
    pass


class Color(str, enum.Enum):
    RED = "red"


class Plain:
    pass


@pytest.mark.parametrize(
    ("value", "copy"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**63, str(2**63)),
        (2**2_000 - 1, str(2**2_000 - 1)),
        (2**2_000, "0x1" + "0" * 500),
        (-(2**70), str(-(2**70))),
        (1.5, 1.5),
        (Score(1.5), 1.5),
        (Count(5), 5),
        (Color.RED, "red"),
        ("x" * 4_096, "x" * 4_096),
        ("x" * 4_097, "x" * 4_096),
        ("a\ud800b", "a?b"),
        ("\x00", "\x00"),
        ((1, (2,)), [1, [2]]),
        ([0] * 2_000, [0] * 1_000),
        ({1: 2, None: 3, (4,): 5}, {"1": 2, "None": 3, "<tuple>": 5}),
        ({"\ud800": 1}, {"?": 1}),
        ({2**63: 1, Score(0.5): 2, Color.RED: 3}, {str(2**63): 1, "0.5": 2, "red": 3}),
        (b"x", "<bytes>"),
        ({1}, "<set>"),
        (datetime(2026, 1, 1), "<datetime>"),
        (Plain(), "<Plain>"),
    ],
)
def test_any_value_has_a_copy(value: Any, copy: Any) -> None:
    columns = kql_columns({"v": value}, {"v": value})

    assert columns["metadata"] == {"v": copy}
    assert columns["channel_versions"] == {"v": copy}
    assert orjson.loads(orjson.dumps(columns))["metadata"] == {"v": copy}


def test_numbers_without_json_become_null() -> None:
    for value in (math.nan, math.inf):
        columns = kql_columns({"v": value}, {})
        assert orjson.loads(orjson.dumps(columns))["metadata"] == {"v": None}


def test_a_huge_number_is_shown_in_hexadecimal() -> None:
    """Python refuses to write its decimal digits."""
    columns = kql_columns({"v": 16**5_000, 16**5_000: 1}, {})

    assert columns["metadata"]["v"] == "0x1" + "0" * 4_093
    assert columns["metadata"]["0x1" + "0" * 4_093] == 1


def test_depth_is_bounded() -> None:
    deep: Any = "end"
    for _ in range(100):
        deep = {"k": [deep]}
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    copied = orjson.dumps(kql_columns({"deep": deep, "cyclic": cyclic}, {})["metadata"]).decode()

    assert '"<dict>"' in copied
    assert '"<list>"' in copied
    assert "end" not in copied


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"k": value}])
def test_twelve_levels_are_copied(wrap: Callable[[Any], Any]) -> None:
    value, copy = wrap("end"), "end"
    for _ in range(11):
        value = wrap(value)
    for _ in range(12):
        copy = wrap(copy)

    assert kql_columns({"v": value}, {})["metadata"] == {"v": copy}
    cut = orjson.dumps(kql_columns({"v": wrap(value)}, {})["metadata"]).decode()
    assert "end" not in cut
    assert cut.count("[" if isinstance(value, list) else '"k"') == 12


# ----------------------------------------------------------------------------------------- bounds


def test_a_copy_has_up_to_64_kib() -> None:
    texts = ["x" * 4_000] * 16
    rest = 65_536 - len(orjson.dumps(["v", [*texts, ""]]))
    exact, over = [*texts, "x" * rest], [*texts, "x" * (rest + 1)]

    assert kql_columns({"v": exact}, {})["metadata"] == {"v": exact}
    assert kql_columns({"v": over}, {})["metadata"] == {"_left_out": ["v"]}
    assert kql_columns({"v": exact, "w": 1}, {})["metadata"] == {"w": 1, "_left_out": ["v"]}


def test_what_does_not_fit_is_named() -> None:
    columns = kql_columns({"small": 1, "large": ["x" * 4_000] * 20, "after": 2}, {})

    assert columns["metadata"] == {"small": 1, "after": 2, "_left_out": ["large"]}


def test_names_of_what_does_not_fit_are_part_of_the_64_kib() -> None:
    """12 KiB are kept for them, when there are any."""
    rest = 52 * 1_024 - len(orjson.dumps(["v", [*["x" * 4_000] * 13, ""]]))
    exact = [*["x" * 4_000] * 13, "x" * rest]
    over = [*exact[:-1], exact[-1] + "x"]
    large = ["x" * 4_000] * 20

    assert kql_columns({"v": exact, "w": large}, {})["metadata"] == {"v": exact, "_left_out": ["w"]}
    assert kql_columns({"v": over, "w": large}, {})["metadata"] == {"_left_out": ["v", "w"]}


def test_as_many_names_as_have_room() -> None:
    large = ["x" * 4_000] * 20
    names = [f"{number:02}" + "\x01" * 98 for number in range(20)]
    named = ',"_left_out":' + orjson.dumps([*names, ""]).decode()
    rest = 12 * 1_024 - len(named)

    for more, shown in (("", 21), ("y", 20)):
        last = "\x01" * (rest // 6) + "y" * (rest % 6) + more
        copy = kql_columns(dict.fromkeys([*names, last, "z"], large), {})["metadata"]
        assert copy == {"_left_out": [*names, last][:shown]}


def test_ten_thousand_entries() -> None:
    values = {f"channel {number}": "x" * 100 for number in range(10_000)}
    copy = kql_columns(values, values)["metadata"]

    left_out = copy.pop("_left_out")
    assert left_out == [key for key in values if key not in copy][:100]
    assert 400 < len(copy) < 10_000
    assert all(values[key] == value for key, value in copy.items())


@pytest.mark.parametrize("character", ['"', "\\", "\x01", "é", "🙂", "\ud800"])
def test_the_largest_copy_there_is(character: str) -> None:
    values = {f"{number}{character * 5_000}": character * 5_000 for number in range(200)}
    columns = kql_columns({**values, "source": character * 100_000}, values)

    for name in ("metadata", "channel_versions"):
        assert len(orjson.dumps(columns[name])) <= COPY_BYTES < DYNAMIC_BYTES
        # A hundred, unless they take more than 12 KiB so.
        taken = len(orjson.dumps(columns[name]["_left_out"]))
        assert len(columns[name]["_left_out"]) == 100 or 11 * 1_024 < taken <= 12 * 1_024
        assert {len(left_out) for left_out in columns[name]["_left_out"]} == {100}
    assert len(columns["source"]) == 4_096


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.binary(max_size=5),
        st.dates(),
        st.frozensets(st.integers(), max_size=2),
        st.floats().map(Score),
        st.decimals(),
        st.uuids(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), anything, max_size=6))
def test_never_an_error(values: dict[str, Any]) -> None:
    columns = kql_columns(values, values)

    assert set(columns) == {"step", "source", "metadata", "channel_versions"}
    assert orjson.dumps(columns["metadata"]) == orjson.dumps(columns["channel_versions"])
    assert len(columns["metadata"]) == len({str(key) for key in values})

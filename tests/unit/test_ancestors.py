"""Lists of names, cut into what one query can ask for."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto._ancestors import groups


@pytest.mark.parametrize(
    ("names", "count", "expected"),
    [
        ("", 2, []),
        ("a", 2, ["a"]),
        ("ab", 2, ["ab"]),
        ("abcde", 2, ["ab", "cd", "e"]),
    ],
)
def test_so_many_names_at_a_time(names: str, count: int, expected: list[str]) -> None:
    assert ["".join(group) for group in groups(list(names), count)] == expected


def test_long_names_are_fewer_at_a_time() -> None:
    """In base64, as they travel: Kusto makes nothing of a list over 1 MiB."""
    names = [f"{number}" + "x" * 60_000 for number in range(9)]
    found = list(groups(["short", *names, "short too"], 2_000))
    assert [len(group) for group in found] == [4, 3, 4]
    assert [name for group in found for name in group] == ["short", *names, "short too"]
    assert list(groups(["x" * 300_000, "y"])) == [["x" * 300_000], ["y"]]


def test_sixteen_channels_unless_told_otherwise() -> None:
    assert [len(group) for group in groups([str(number) for number in range(40)])] == [16, 16, 8]

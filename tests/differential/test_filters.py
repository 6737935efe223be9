"""Metadata filters: `contains` means what PostgreSQL's `@>` means, and lists give the same.

The generator leans to near misses. What Postgres cannot hold is in `test_different_values.py`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.base import get_checkpoint_metadata
from shared.threads import config_of, listed_ids, new_checkpoint

from langgraph.checkpoint.kusto._filter import check_filter, contains

from .filters import TWINS, filters_of, metadata
from .twins import Twins

EXAMPLES = os.environ.get("DIFFERENTIAL_EXAMPLES")


def as_often(times: int) -> settings:
    """A few fixed examples in `make test`, `times` as many in a longer run."""
    return settings(
        max_examples=times * int(EXAMPLES or 10),
        derandomize=EXAMPLES is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


async def in_postgres(saver: Any, pairs: list[tuple[Any, Any]]) -> list[bool]:
    """Ask the database itself, with the documents turned to JSON as the saver does."""
    from psycopg.types.json import Jsonb  # not installed where these tests are skipped

    stored, wanted = zip(*pairs, strict=True)
    async with saver.conn.cursor() as cursor:
        await cursor.execute(
            "SELECT stored @> wanted AS found"
            " FROM unnest(%s::jsonb[], %s::jsonb[]) WITH ORDINALITY AS t(stored, wanted, number)"
            " ORDER BY number",
            (list(map(Jsonb, stored)), list(map(Jsonb, wanted))),
        )
        return [row["found"] for row in await cursor.fetchall()]


@st.composite
def questions(draw: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    stored = draw(metadata)
    return [(stored, draw(filters_of(stored))) for _ in range(8)]


@as_often(20)
@given(pairs=questions())
def test_containment_on_generated_documents(twins: Twins, pairs: list[Any]) -> None:
    expected = twins.run(lambda: in_postgres(twins.postgres, pairs))
    found = []
    for stored, wanted in pairs:
        checked = check_filter(wanted)
        found.append(checked is None or contains(stored, checked))
    assert dict(zip(map(repr, pairs), found, strict=True)) == dict(
        zip(map(repr, pairs), expected, strict=True)
    )


def test_containment_of_every_twin_in_every_other(twins: Twins) -> None:
    """Values that are nearly the same, alone and in an array."""
    pairs = [({"k": left}, {"k": right}) for left in TWINS for right in TWINS]
    pairs += [({"k": [left, 7]}, {"k": [right]}) for left in TWINS for right in TWINS]
    expected = twins.run(lambda: in_postgres(twins.postgres, pairs))
    wrong = [
        (stored, wanted, answer)
        for (stored, wanted), answer in zip(pairs, expected, strict=True)
        if contains(stored, wanted) is not answer
    ]
    assert wrong == []
    assert 2 * len(TWINS) < sum(expected) < len(pairs) / 5


@st.composite
def catalogues(draw: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    stored = draw(st.lists(metadata, min_size=1, max_size=5))
    wanted = [draw(filters_of(draw(st.sampled_from(stored)))) for _ in range(5)]
    return stored, wanted


@as_often(1)
@given(catalogue=catalogues())
def test_lists_with_generated_filters(twins: Twins, catalogue: Any) -> None:
    stored, filters = catalogue
    thread_id = twins.new_thread()
    place = config_of(thread_id)

    async def work(saver: Any) -> list[list[str]]:
        for number, one in enumerate(stored):
            await saver.aput(place, new_checkpoint({}, {}, f"{number}"), one, {})
        return [await listed_ids(saver, place, filter=wanted) for wanted in filters]

    kusto, postgres = twins.run(lambda: twins.both(work))
    assert dict(zip(map(repr, filters), kusto, strict=True)) == dict(
        zip(map(repr, filters), postgres, strict=True)
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"run_id": "r"},
        {"user": "u", "n": 1},
        {"source": "loop", "step": -1},
        {"step": -1.0},
        {"step": "-1"},
        {"missing": None},
        {"none": None},
        {"parents": {}},
        {"parents": {"": "x"}},
        {"a.b": 1},
        {"a": {"b": 2}},
        {"a": {"c": 2}},
        {"' or 1=1 --": True},
        {"tags": ["y"]},
        {"tags": "y"},
        {"thread_id": "t"},
        {"writes": {"node": 1}},
    ],
    ids=repr,
)
def test_what_users_ask(twins: Twins, wanted: dict[str, Any]) -> None:
    """Metadata of the config counts as well, in both."""
    thread_id = twins.new_thread()
    config = config_of(thread_id, user="u", n=1, flag=True)
    config["metadata"] = {"run_id": "r", "langgraph_step": 4, "nested": {"not": "taken"}}
    given_: Any = {
        "source": "loop",
        "step": -1,
        "parents": {"": "x"},
        "none": None,
        "a.b": 1,
        "a": {"b": 2},
        "' or 1=1 --": True,
        "tags": ["x", "y"],
    }
    stored = get_checkpoint_metadata(config, given_)

    async def work(saver: Any) -> list[str]:
        await saver.aput(config, new_checkpoint({}, {}, "1"), given_, {})
        return await listed_ids(saver, config_of(thread_id), filter=wanted)

    kusto, postgres = twins.run(lambda: twins.both(work))
    assert kusto == postgres
    assert (kusto == ["1"]) is contains(stored, wanted)

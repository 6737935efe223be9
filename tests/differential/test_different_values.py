"""The differences from the Postgres saver that are in values, metadata, ids and filters.

Each test is named by a row of docs/contract.md, "Differences from the Postgres saver".
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import get_checkpoint_metadata
from shared.threads import config_of, listed_ids, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto.errors import (
    InvalidConfigError,
    MissingThreadIdError,
    UnsupportedFilterError,
)

from .twins import Twins, exact

Work = Callable[[Any], Awaitable[Any]]


def stored_values(thread_id: str, values: dict[str, Any], **more: Any) -> Work:
    """Put values and read them back."""

    async def work(saver: Any) -> dict[str, Any]:
        place = config_of(thread_id)
        checkpoint = new_checkpoint(values, **more)
        await saver.aput(place, checkpoint, {}, checkpoint["channel_versions"])
        return await values_of(saver, place)

    return work


def stored_metadata(thread_id: str, metadata: Any) -> Work:
    """Put metadata and read it back."""

    async def work(saver: Any) -> Any:
        await saver.aput(config_of(thread_id), new_checkpoint(), metadata, {})
        return (await saver.aget_tuple(config_of(thread_id))).metadata

    return work


def found_by(thread_id: str, metadata: Any, wanted: Any) -> Work:
    """Put metadata and count what a filter finds."""

    async def work(saver: Any) -> int:
        await saver.aput(config_of(thread_id), new_checkpoint(), metadata, {})
        return len(await listed_ids(saver, config_of(thread_id), filter=wanted))

    return work


# ------------------------------------------------------------------------------ channel values


@pytest.mark.parametrize(
    ("value", "in_postgres"),
    [(1e22, 10**22), (-1e300, -(10**300)), (-0.0, 0.0)],
    ids=repr,
)
def test_floats_stay_floats(twins: Twins, value: float, in_postgres: float) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": value}))

    assert exact(kusto.value) == exact({"a": value})
    assert exact(postgres.value) == exact({"a": in_postgres})


@pytest.mark.parametrize("value", [math.nan, -math.inf, "x\x00y", "\ud800"], ids=repr)
def test_values_that_json_in_postgres_cannot_hold(twins: Twins, value: Any) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": value}))

    assert exact(kusto.value) == exact({"a": value})
    assert isinstance(postgres.error, _psycopg().DataError)


def test_lone_surrogates_inside_a_value(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": ["\ud800"]}))

    assert kusto.value == {"a": ["\ud800"]}
    assert postgres.value == {"a": ["?"]}


def test_integers_over_64_bits_inside_a_value(twins: Twins) -> None:
    """At the top of a value both hold them."""
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": 2**70}))
    assert kusto.value == postgres.value == {"a": 2**70}

    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": [2**70]}))
    assert kusto.value == {"a": [2**70]}
    assert isinstance(postgres.error, TypeError)


def test_tuples_inside_a_value(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": [(1, (2,))]}))

    assert exact(kusto.value) == exact({"a": [(1, (2,))]})
    assert exact(postgres.value) == exact({"a": [[1, [2]]]})


class Colour(str, enum.Enum):
    RED = "red"


def test_types_under_text_and_numbers(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": Colour.RED}))

    assert kusto.value["a"] is Colour.RED
    assert exact(postgres.value) == exact({"a": "red"})


def test_tuples_in_a_checkpoint(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        checkpoint: Any = new_checkpoint(more=(1, ("x",)))
        stored = await saver.aput(config_of(thread_id), checkpoint, {}, {})
        return (await saver.aget_tuple(stored)).checkpoint["more"]

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == (1, ("x",))
    assert postgres.value == [1, ["x"]]


# ------------------------------------------------------------------------- values and versions


def test_a_value_without_a_version_is_kept(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": [1]}, versions={}))

    assert kusto.value == {"a": [1]}
    assert postgres.value == {}


def test_a_value_whose_version_is_a_float_without_fraction(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a": [1]}, versions={"a": 1.0}))

    assert kusto.value == {"a": [1]}
    assert postgres.value == {}


def test_a_value_that_is_not_named_as_new_is_kept(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        place = config_of(thread_id)
        await saver.aput(place, new_checkpoint({"a": [1], "b": [2]}), {}, {"a": 1})
        return await values_of(saver, place)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == {"a": [1], "b": [2]}
    assert postgres.value == {"a": [1]}


def test_one_version_with_two_values(twins: Twins) -> None:
    """Forks of one checkpoint count alike, so whole numbers as versions come twice."""

    async def work(saver: Any) -> Any:
        root = await saver.aput(config_of(thread_id), new_checkpoint(), {}, {})
        one = await saver.aput(root, new_checkpoint({"a": [1]}), {}, {"a": 1})
        two = await saver.aput(root, new_checkpoint({"a": [2]}), {}, {"a": 1})
        return [await values_of(saver, one), await values_of(saver, two)]

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == [{"a": [1]}, {"a": [2]}]
    assert postgres.value == [{"a": [1]}, {"a": [1]}]


def test_a_value_that_a_checkpoint_leaves_out(twins: Twins) -> None:
    """Delta channels do that after a snapshot."""

    async def work(saver: Any) -> Any:
        first = await saver.aput(config_of(thread_id), new_checkpoint({"a": [1]}), {}, {"a": 1})
        second = await saver.aput(first, new_checkpoint({}, {"a": 1}), {}, {})
        return await values_of(saver, second)

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == {}
    assert postgres.value == {"a": [1]}


# ------------------------------------------------------------------------------------- metadata


@pytest.mark.parametrize(
    ("value", "in_postgres"),
    [((1, 2), [1, 2]), ({1: "x"}, {"1": "x"}), (1e22, 10**22), (-0.0, 0.0)],
    ids=repr,
)
def test_metadata_keeps_its_types(twins: Twins, value: Any, in_postgres: Any) -> None:
    kusto, postgres = twins.each(stored_metadata(twins.new_thread(), {"a": value}))

    assert exact(kusto.value) == exact({"a": value})
    assert exact(postgres.value) == exact({"a": in_postgres})


@pytest.mark.parametrize("value", [b"x", {1}, math.nan, ["x\x00y"], "\ud800"], ids=repr)
def test_metadata_that_is_not_json(twins: Twins, value: Any) -> None:
    kusto, postgres = twins.each(stored_metadata(twins.new_thread(), {"a": value}))

    assert exact(kusto.value) == exact({"a": value})
    assert isinstance(postgres.error, TypeError | _psycopg().DataError)


def test_nul_at_the_top_of_metadata_is_stripped_by_both(twins: Twins) -> None:
    """No difference: LangGraph's own function does it."""
    assert get_checkpoint_metadata({}, {"a": "x\x00y"}) == {"a": "xy"}  # type: ignore[typeddict-unknown-key]
    kusto, postgres = twins.each(stored_metadata(twins.new_thread(), {"a": "x\x00y"}))
    assert kusto.value == postgres.value == {"a": "xy"}


def test_writes_in_the_metadata_are_kept(twins: Twins) -> None:
    """Old versions of LangGraph put them there."""
    metadata = {"writes": {"node": 1}}
    kusto, postgres = twins.each(stored_metadata(twins.new_thread(), metadata))
    assert kusto.value == metadata
    assert postgres.value == {}

    kusto, postgres = twins.each(found_by(twins.new_thread(), metadata, metadata))
    assert (kusto.value, postgres.value) == (1, 0)


# -------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize("value", [math.nan, b"x", {1}], ids=repr)
def test_filters_that_are_not_json(twins: Twins, value: Any) -> None:
    """Both raise; ours says what and where."""
    kusto, postgres = twins.each(found_by(twins.new_thread(), {"a": 1}, {"a": value}))

    assert isinstance(kusto.error, UnsupportedFilterError)
    assert isinstance(postgres.error, TypeError | _psycopg().DataError)


@pytest.mark.parametrize("value", ["x\x00", "\ud800"], ids=repr)
def test_filters_with_text_that_postgres_cannot_hold(twins: Twins, value: str) -> None:
    """What can be stored can be looked for."""
    metadata = {"a": [value]}

    async def work(saver: Any) -> int:
        try:
            await saver.aput(config_of(thread_id), new_checkpoint(), metadata, {})
        except _psycopg().DataError:
            await saver.aput(config_of(thread_id), new_checkpoint(), {}, {})
        return len(await listed_ids(saver, config_of(thread_id), filter=metadata))

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == 1
    assert isinstance(postgres.error, _psycopg().DataError)


def test_keys_that_are_not_text(twins: Twins) -> None:
    """JSON makes text of them; here they stay what they are, and a filter with one is refused."""
    kusto, postgres = twins.each(found_by(twins.new_thread(), {"a": {1: 1}}, {"a": {"1": 1}}))
    assert (kusto.value, postgres.value) == (0, 1)

    kusto, postgres = twins.each(found_by(twins.new_thread(), {"a": {"1": 1}}, {"a": {1: 1}}))
    assert isinstance(kusto.error, UnsupportedFilterError)
    assert postgres.value == 1


@pytest.mark.parametrize("wanted", [["a"], "a"], ids=repr)
def test_filters_that_are_no_dicts(twins: Twins, wanted: Any) -> None:
    kusto, postgres = twins.each(found_by(twins.new_thread(), {"a": 1}, wanted))

    assert isinstance(kusto.error, UnsupportedFilterError)
    assert postgres.value == 0


# ------------------------------------------------------------------------------------------ ids


def test_thread_ids_that_are_numbers(twins: Twins) -> None:
    async def work(saver: Any) -> Any:
        await saver.aput(config_of(70_001), new_checkpoint({}, {}, "x"), {}, {})
        return (await saver.aget_tuple(config_of(70_001))).config

    kusto, postgres = twins.each(work)
    assert kusto.value == config_of("70001", "", "x")
    assert isinstance(postgres.error, _psycopg().errors.UndefinedFunction)


def test_empty_ids(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values("", {"a": 1}))
    assert isinstance(kusto.error, MissingThreadIdError)
    assert postgres.value == {"a": 1}

    async def work(saver: Any) -> Any:
        checkpoint = new_checkpoint()
        checkpoint["id"] = ""
        return await saver.aput(config_of(thread_id), checkpoint, {}, {})

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert isinstance(kusto.error, InvalidConfigError)
    assert postgres.value == config_of(thread_id, "", "")


def test_long_ids(twins: Twins) -> None:
    """An index entry of Postgres has 2,704 bytes at most, after compression."""
    long = twins.new_thread(noise(4_000).hex())
    kusto, postgres = twins.each(stored_values(long, {"a": 1}))
    assert kusto.value == {"a": 1}
    assert isinstance(postgres.error, _psycopg().OperationalError)

    kusto, postgres = twins.each(stored_values(twins.new_thread("x" * 70_000), {"a": 1}))
    assert isinstance(kusto.error, InvalidConfigError)
    assert postgres.value == {"a": 1}


def test_nul_in_an_id(twins: Twins) -> None:
    kusto, postgres = twins.each(stored_values(twins.new_thread("\x00"), {"a": 1}))

    assert kusto.value == {"a": 1}
    assert isinstance(postgres.error, _psycopg().DataError)


def test_backslashes_in_channels_and_tasks(twins: Twins) -> None:
    """Postgres reads them as escapes of bytes."""
    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a\\101": [1]}))
    assert kusto.value == {"a\\101": [1]}
    assert postgres.value == {"aA": [1]}

    kusto, postgres = twins.each(stored_values(twins.new_thread(), {"a\\b": [1]}))
    assert kusto.value == {"a\\b": [1]}
    assert isinstance(postgres.error, _psycopg().DataError)

    async def work(saver: Any) -> Any:
        stored = await saver.aput(config_of(thread_id), new_checkpoint(), {}, {})
        await saver.aput_writes(stored, [("a", 1)], "task\\b")
        return (await saver.aget_tuple(stored)).pending_writes

    thread_id = twins.new_thread()
    kusto, postgres = twins.each(work)
    assert kusto.value == [("task\\b", "a", 1)]
    assert isinstance(postgres.error, _psycopg().DataError)


def _psycopg() -> Any:
    """The driver; not installed where these tests are skipped."""
    return pytest.importorskip("psycopg")

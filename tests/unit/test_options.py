"""Options refuse what is outside their range, and name the range."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from langgraph.checkpoint.kusto.errors import InvalidOptionError
from langgraph.checkpoint.kusto.options import OptionValues, SaverOptions

SECONDS = (
    "flush_interval",
    "queued_timeout",
    "query_timeout",
    "ingest_timeout",
    "retry_timeout",
    "intake_timeout",
)
SECONDS_OR_ZERO = ("retry_backoff", "visibility_timeout", "close_timeout")
COUNTS = (
    "batch_size",
    "intake_bytes",
    "overlay_bytes",
    "max_in_flight",
    "max_queries",
    "reads_per_query",
)
COUNTS_OR_ZERO = ("max_retries", "frame_cache_bytes")


def test_the_documented_defaults() -> None:
    assert dataclasses.asdict(SaverOptions()) == {
        "write_mode": "acknowledged",
        "ingestion": "streaming",
        "ingestion_uri": None,
        "queued_timeout": 900.0,
        "batch_size": 100,
        "flush_interval": 30.0,
        "query_timeout": 30.0,
        "ingest_timeout": 60.0,
        "max_retries": 3,
        "retry_backoff": 1.0,
        "retry_timeout": 120.0,
        "visibility_timeout": 10.0,
        "intake_bytes": 67_108_864,
        "overlay_bytes": 134_217_728,
        "frame_cache_bytes": 67_108_864,
        "intake_timeout": 60.0,
        "max_in_flight": 8,
        "max_queries": 16,
        "reads_per_query": 16,
        "close_timeout": 30.0,
    }


def test_every_option_is_tested_here_and_typed_for_users() -> None:
    names = {field.name for field in dataclasses.fields(SaverOptions)}

    assert names == {
        "write_mode",
        "ingestion",
        "ingestion_uri",
        *SECONDS,
        *SECONDS_OR_ZERO,
        *COUNTS,
        *COUNTS_OR_ZERO,
    }
    assert set(OptionValues.__annotations__) == names
    assert OptionValues.__optional_keys__ == names, "each may be left out"


@pytest.mark.parametrize(
    "values",
    [
        {"batch_size": 500, "flush_interval": 60},
        {"batch_size": 1, "flush_interval": 0.1},
        {"batch_size": 100, "flush_interval": 30.0},
    ],
)
def test_the_documented_settings_are_valid(values: OptionValues) -> None:
    for mode in ("acknowledged", "buffered"):
        options = SaverOptions.from_values({**values, "write_mode": mode})  # type: ignore[typeddict-item]
        assert (options.batch_size, options.flush_interval) == tuple(values.values())


@pytest.mark.parametrize("name", [*SECONDS, *SECONDS_OR_ZERO])
@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, "1", None, True, 1j])
def test_seconds_outside_their_range(name: str, value: Any) -> None:
    with pytest.raises(InvalidOptionError, match=rf"^{name} must be a number of seconds") as caught:
        SaverOptions(**{name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", [*COUNTS, *COUNTS_OR_ZERO])
@pytest.mark.parametrize("value", [-1, 1.0, math.nan, "1", None, False])
def test_counts_outside_their_range(name: str, value: Any) -> None:
    with pytest.raises(InvalidOptionError, match=rf"^{name} must be a whole number"):
        SaverOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "range_"),
    [
        ("query_timeout", "a number of seconds, more than 0"),
        ("retry_backoff", "a number of seconds, 0 or more"),
        ("batch_size", "a whole number, more than 0"),
        ("max_retries", "a whole number, 0 or more"),
    ],
)
def test_the_message_names_the_range(name: str, range_: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        SaverOptions(**{name: -1})  # type: ignore[arg-type]
    assert str(caught.value) == f"{name} must be {range_}, not -1"


@pytest.mark.parametrize("name", [*SECONDS, *COUNTS])
def test_zero_is_too_little(name: str) -> None:
    with pytest.raises(InvalidOptionError, match="more than 0"):
        SaverOptions(**{name: 0})


@pytest.mark.parametrize("name", [*SECONDS_OR_ZERO, *COUNTS_OR_ZERO])
def test_zero_is_enough(name: str) -> None:
    assert getattr(SaverOptions(**{name: 0}), name) == 0


@pytest.mark.parametrize("name", [*COUNTS, *COUNTS_OR_ZERO, *SECONDS])
def test_very_large_whole_numbers_are_just_large(name: str) -> None:
    assert getattr(SaverOptions(**{name: 10**400}), name) == 10**400


@pytest.mark.parametrize("value", ["Queued", "managed", "", None, ["streaming"]])
def test_unknown_choices_name_the_known(value: Any) -> None:
    with pytest.raises(
        InvalidOptionError, match="ingestion must be 'streaming' or 'inline' or 'queued', not"
    ):
        SaverOptions(ingestion=value)
    with pytest.raises(
        InvalidOptionError, match="write_mode must be 'acknowledged' or 'buffered', not"
    ):
        SaverOptions(write_mode=value)


@pytest.mark.parametrize("ingestion", ["streaming", "inline"])
def test_an_ingestion_uri_is_for_queued_ingestion(ingestion: Any) -> None:
    with pytest.raises(InvalidOptionError, match=f'only, not by "{ingestion}"; leave it out, or'):
        SaverOptions(ingestion=ingestion, ingestion_uri="https://ingest-a.kusto.windows.net")
    SaverOptions(ingestion="queued", ingestion_uri="https://ingest-a.kusto.windows.net")


def test_an_ingestion_uri_is_text() -> None:
    with pytest.raises(InvalidOptionError, match="ingestion_uri must be text, not int"):
        SaverOptions(ingestion="queued", ingestion_uri=5)  # type: ignore[arg-type]


def test_unknown_options_are_named_with_the_known() -> None:
    with pytest.raises(
        InvalidOptionError, match="unknown option bogus, zeta; the options are "
    ) as e:
        SaverOptions.from_values({"zeta": 1, "bogus": 2})  # type: ignore[typeddict-unknown-key]
    assert "batch_size, close_timeout" in str(e.value)


def test_options_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SaverOptions().batch_size = 1  # type: ignore[misc]

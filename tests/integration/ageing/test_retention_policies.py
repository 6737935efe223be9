"""The retention policies decide from which age on things are stored again, and `setup` checks them.

By clocks that are set forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shared.aged_threads import AgedThread
from shared.ageing import Advance, retain_all
from shared.places import Place, command
from shared.threads import noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, _core, _kql
from langgraph.checkpoint.kusto._clock import TICKS_PER_DAY
from langgraph.checkpoint.kusto._core import Core
from langgraph.checkpoint.kusto.errors import (
    ClusterUnreachableError,
    QueryFailedError,
    RetentionTooShortError,
)

pytestmark = [pytest.mark.local_only, pytest.mark.timeout(300)]

MakeSaver = Callable[..., AsyncKustoSaver]
LARGE = noise(50_000)


@pytest.mark.parametrize(("days", "step"), [(1, 0.9), (7, 6.5), (30, 29), (365, 200)])
async def test_any_period_will_do_as_long_as_the_differences_are_kept(
    place: Place, async_saver: MakeSaver, advance: Advance, days: int, step: float
) -> None:
    """Changed while the thread is 60 days old, which shrinking takes its oldest rows from."""
    thread = AgedThread("shrunk", ["messages"])
    day = 0.0

    async def use() -> None:
        nonlocal day
        saver = async_saver()
        if thread.puts:
            await thread.write(saver, thread.newest, ("messages", noise(40_000, len(thread.puts))))
        await thread.put(saver, day, document=LARGE)

    for _ in range(4):
        await use()
        advance(20)
        day += 20
    await use()
    retain_all(place, days, days + 30, days + 60)
    for _ in range(12):
        advance(step)
        day += step
        for aged in thread.within(day, days):
            await thread.check(async_saver(), aged)
        await thread.check_newest(async_saver())
        await use()


async def test_differences_that_are_small_are_used_as_they_are(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    retain_all(place, 20, 25, 30)
    thread = AgedThread("small", ["messages"])
    for number in range(20):
        saver = async_saver()
        if number:
            await thread.write(saver, thread.newest, ("messages", number))
        await thread.put(saver, number * 19, document=LARGE)
        advance(19)
        await thread.check_newest(async_saver())


async def test_unknown_policies_mean_always(
    place: Place,
    async_saver: MakeSaver,
    advance: Advance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    saver = async_saver()
    thread = AgedThread("unknown", ["messages"])
    await thread.put(saver, 0, document=LARGE)
    command = Core.command

    async def refused(self: Core, text: str) -> Any:
        if text in (_kql.SHOW_TABLES, _kql.SHOW_VIEW):
            raise ClusterUnreachableError("no answer")
        return await command(self, text)

    monkeypatch.setattr(Core, "command", refused)
    for number in range(1, 4):
        advance(2)
        await thread.write(saver, thread.newest, ("messages", number))
        await thread.put(saver, number * 2, document=LARGE)
        await thread.put(saver, number * 2, document=LARGE)
        assert saver.stats()["blobs_stored"] == number + 1
        assert saver.stats()["renewals"] == number
    assert caplog.text.count("the retention policies are not known") == 3, "hourly"
    assert _kql.SHOW_TABLES in caplog.text
    monkeypatch.setattr(Core, "command", command)
    advance(2)
    await thread.put(saver, 8, document=LARGE)
    assert saver.stats()["blobs_stored"] == 4
    assert saver.stats()["renewals"] == 3


async def test_policies_that_were_known_count_on_when_they_cannot_be_read(
    place: Place, async_saver: MakeSaver, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = async_saver()
    thread = AgedThread("known", ["messages"])
    await thread.put(saver, 0, document=LARGE)
    advance(2)
    await thread.put(saver, 2, document=LARGE)

    async def refused(self: Core, text: str) -> Any:
        raise ClusterUnreachableError("no answer")

    monkeypatch.setattr(Core, "command", refused)
    advance(2)
    await thread.put(saver, 4, document=LARGE)
    assert (saver.stats()["blobs_stored"], saver.stats()["renewals"]) == (1, 0)


async def test_the_age_of_a_value_is_kustos_own(
    place: Place, async_saver: MakeSaver, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is a year ahead stored it; those that read it go by Kusto's time."""
    thread = AgedThread("ahead", ["none"])
    writer = async_saver()
    with monkeypatch.context() as ahead:
        set_clock_ahead(ahead, 365)
        await thread.put(writer, 0, document=LARGE)
    advance(31)
    saver = async_saver()
    await thread.check_newest(saver)
    await thread.put(saver, 31, document=LARGE)
    assert saver.stats()["blobs_stored"] == 1


def set_clock_ahead(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    real = _core.now_ticks
    monkeypatch.setattr(_core, "now_ticks", lambda: real() + days * TICKS_PER_DAY)


# ------------------------------------------------------------------------------- setup


@pytest.mark.parametrize(
    ("days", "named"),
    [
        ((90, 90, 120), ["Checkpoints", "CheckpointWrites", "CheckpointBlobs"]),
        ((90, 120, 120), ["CheckpointWrites", "CheckpointBlobs"]),
        ((120, 120, 150), ["Checkpoints", "CheckpointWrites", "CheckpointBlobs"]),
        ((7, 7, 150), ["Checkpoints"]),
    ],
)
async def test_setup_refuses_periods_that_are_too_short_and_names_what_mends_them(
    place: Place, async_saver: MakeSaver, days: tuple[int, int, int], named: list[str]
) -> None:
    saver = async_saver()
    await saver.setup()
    retain_all(place, *days)
    with pytest.raises(RetentionTooShortError, match="would expire before it") as refused:
        await saver.setup()
    remedies = str(refused.value).partition(": run ")[2].partition(", or provision")[0].split("; ")
    assert [text.split()[2] for text in remedies] == named
    for text in remedies:
        command(place, text)
    await saver.setup()


async def test_tombstones_are_for_ever(place: Place, async_saver: MakeSaver) -> None:
    saver = async_saver()
    command(place, ".alter-merge table CheckpointTombstones policy retention softdelete = 365d")
    with pytest.raises(RetentionTooShortError, match=r"CheckpointTombstones policy .* = 365000d"):
        await saver.setup()
    await saver.setup(create=True)
    await saver.setup()


async def test_policies_of_the_database_count_where_a_table_has_none(
    place: Place, async_saver: MakeSaver
) -> None:
    saver = async_saver()
    for name in ("Checkpoints", "CheckpointWrites", "CheckpointBlobs"):
        command(place, f".delete table {name} policy retention")
    await saver.setup()  # for ever
    command(place, ".alter-merge database policy retention softdelete = 80d")
    with pytest.raises(RetentionTooShortError, match=r"Checkpoints .* = 120d"):
        await saver.setup()


async def test_an_answer_in_another_form_is_said(
    place: Place, async_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_kql, "SHOW_VIEW", ".show materialized-view LatestCheckpoints")
    with pytest.raises(QueryFailedError, match="did not tell how long rows are kept"):
        await async_saver().setup()

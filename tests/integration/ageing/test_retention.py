"""What a saver reads when retention has taken rows, by a clock that is set forward.

Kusto drops rows by age, never before their period and at a time of its own after it: the table may
lose a row before or after the view loses its record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shared.ageing import Advance, retain
from shared.ageing import row_count as rows
from shared.places import Place, query
from shared.threads import Chain, id_of, listed, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto.errors import IncompleteCheckpointError, PartsLostError

pytestmark = pytest.mark.local_only


async def test_a_thread_in_use_stays_whole_and_loses_its_oldest_steps(
    place: Place, async_saver: Any, advance: Advance
) -> None:
    chain = Chain(async_saver(), "used")
    large = noise(50_000)
    await chain.step(large=large, step=0)
    for number in range(1, 9):  # 320 days, far beyond the 120 of rows and the 150 of values
        advance(40)
        await chain.step(step=number)
        expected = {"large": large, "step": number}
        assert await values_of(async_saver(), chain.place) == expected
        found = await listed(async_saver(), chain.place)
        steps = [item.checkpoint["channel_values"] for item in found]
        assert steps == [
            {"large": large, "step": step} for step in range(number, max(number - 3, -1), -1)
        ]


async def test_a_thread_nobody_used_is_gone_and_may_begin_again(
    place: Place, async_saver: Any, advance: Advance
) -> None:
    chain = Chain(async_saver(), "idle")
    await chain.step(a=1, large=noise(50_000))
    await chain.saver.aput_writes(await chain.step(a=2), [("x", 1)], "task")
    advance(91)
    for reader in (chain.saver, async_saver()):
        assert await reader.aget_tuple(chain.place) is None
        found = await listed(reader, chain.place)
        assert [item.checkpoint["channel_values"]["a"] for item in found] == [2, 1], "to go back to"
        assert await values_of(reader, chain.stored[1]) == {"a": 2, "large": noise(50_000)}
    advance(30)
    for reader in (chain.saver, async_saver()):
        assert await reader.aget_tuple(chain.stored[1]) is None
        assert await listed(reader, chain.place) == []
    assert [rows(place, name) for name in ("LatestCheckpoints", "LivePendingWrites()")] == [0, 0]
    assert (rows(place, "CheckpointBlobs"), rows(place, "StepDurations()")) == (1, 0)
    stored = query(place, "StorageByThread() | project table_name, live_rows, dead_rows")
    assert sorted(stored, key=lambda row: row["table_name"]) == [
        {"table_name": "CheckpointBlobs", "live_rows": 0, "dead_rows": 1},
        {"table_name": "CheckpointWrites", "live_rows": 0, "dead_rows": 1},
    ]

    await chain.step(a=3, large=noise(50_000, 3))
    assert await values_of(async_saver(), chain.place) == {"a": 3, "large": noise(50_000, 3)}
    assert len(await listed(async_saver(), chain.place)) == 1


async def test_a_saver_lets_go_of_its_own_rows_when_kusto_has(
    place: Place, async_saver: Any, advance: Advance
) -> None:
    """It answers with what it wrote until Kusto has shown it, but not for ever."""
    chain = Chain(async_saver(), "own")
    for number in range(3):
        await chain.step(a=number)
    assert await values_of(chain.saver, chain.place) == {"a": 2}
    assert chain.saver.stats()["overlay_rows"] == 2
    advance(2)
    assert len(await listed(chain.saver, chain.place)) == 3
    assert chain.saver.stats()["overlay_rows"] == 0
    await chain.step(a=3)
    advance(118)
    assert len(await listed(chain.saver, chain.place)) == 1
    advance(91)
    for reader in (chain.saver, async_saver()):
        assert await reader.aget_tuple(chain.place) is None
        assert await listed(reader, chain.place) == []


async def test_values_that_expired_before_their_checkpoint_are_said_to_be_lost(
    place: Place, async_saver: Any, advance: Advance
) -> None:
    """What an administrator gets who gives the values fewer days than the checkpoints."""
    retain(place, "table CheckpointBlobs", 10)
    chain = Chain(async_saver(), "torn")
    whole = await chain.step(a=1)
    torn = await chain.step(large=noise(50_000))
    advance(11)
    for reader in (chain.saver, async_saver()):
        for config in (chain.place, torn):
            with pytest.raises(PartsLostError, match=r"'large'.*retention") as lost:
                await reader.aget_tuple(config)
            assert id_of(torn) in str(lost.value)
            assert not lost.value.retriable
        assert [id_of(item.config) for item in await listed(reader, chain.place)] == [id_of(whole)]
        assert reader.stats()["skipped_incomplete"] == 1
        with pytest.raises(PartsLostError):
            await reader.acopy_thread("torn", "copy")


async def test_when_the_view_keeps_longer_the_loss_is_said(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], advance: Advance
) -> None:
    """The view names a checkpoint whose row is gone: not an answer, and not another checkpoint."""
    retain(place, "materialized-view LatestCheckpoints", 130)
    chain = Chain(async_saver(), "view")
    last = await chain.step(a=1)
    advance(121)
    assert (rows(place, "Checkpoints"), rows(place, "LatestCheckpoints")) == (0, 1)
    reader = async_saver(visibility_timeout=0.2)
    with pytest.raises(IncompleteCheckpointError, match=f"the row of checkpoint {id_of(last)}"):
        await reader.aget_tuple(chain.place)
    assert await reader.aget_tuple(last) is None
    assert await listed(reader, chain.place) == []
    await reader.adelete_thread("view")
    advance(10)
    assert rows(place, "LatestCheckpoints") == 0
    assert await reader.aget_tuple(chain.place) is None


async def test_a_thread_that_rested_too_long_is_not_resumed_and_can_be_forked(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], advance: Advance
) -> None:
    """The table keeps longer than the view: what is there can be read by its id."""
    chain = Chain(async_saver(), "table")
    last = await chain.step(a=1)
    advance(91)
    assert (rows(place, "Checkpoints"), rows(place, "LatestCheckpoints")) == (1, 0)
    reader = async_saver()
    assert await reader.aget_tuple(chain.place) is None
    assert await values_of(reader, last) == {"a": 1}
    assert len(await listed(reader, chain.place)) == 1
    await chain.step(a=2)
    assert await values_of(reader, chain.place) == {"a": 2}

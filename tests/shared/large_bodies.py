"""Bodies that move tens of megabytes; they run for one saver only, what they test is below both."""

from __future__ import annotations

import pytest

from .savers import MakeSaver
from .threads import Chain, noise, values_of


class LargeBodies:
    @pytest.mark.counts
    async def test_writes_that_are_too_much_for_one_result_are_paged(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """Payload of one query is bounded at 32 MB; 30 MB are 40 MB in base64."""
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=noise(3_000_000))
        values = [noise(6_000_000, number) for number in range(5)]
        for number, value in enumerate(values):
            await saver.aput_writes(stored, [("a", value)], f"task {number}")

        other = make_saver()
        found = (await other.aget_tuple(stored)).pending_writes

        assert found == [(f"task {number}", "a", value) for number, value in enumerate(values)]
        assert other.stats()["queries"] > 1

    @pytest.mark.counts
    async def test_large_states_are_listed_in_groups(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        for number in range(4):
            await chain.step(large=noise(5_000_000, number))

        reader = make_saver()
        states = [item.checkpoint["channel_values"] async for item in reader.alist(chain.place)]
        assert states == [{"large": noise(5_000_000, number)} for number in reversed(range(4))]
        assert reader.stats()["queries"] > 2

    @pytest.mark.counts
    async def test_a_state_that_is_too_much_for_one_result_is_paged(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        values = {f"channel {number}": noise(9_000_000, number) for number in range(3)}
        chain = Chain(make_saver(), thread_id)
        await chain.step(**values)

        reader = make_saver()
        assert await values_of(reader, chain.place) == values
        assert reader.stats()["queries"] > 1

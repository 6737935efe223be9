"""A view that lags behind its table, against documentation: own writes stay the newest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.places import Place
from shared.threads import Chain, config_of, listed, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto._transport import SdkTransport, Table, parse_endpoint


class LaggingViewTransport(SdkTransport):
    """Its view ends before a checkpoint id."""

    before = ""

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        assert text.count("LatestCheckpoints\n") <= 1
        lagging = f"LatestCheckpoints\n    | where strcmp(checkpoint_id, '{self.before}') < 0\n"
        return await super().query(text.replace("LatestCheckpoints\n", lagging), parameters)


async def test_the_newest_checkpoint_stays_the_newest_while_the_view_lags(
    place: Place, thread_id: str
) -> None:
    transport = LaggingViewTransport(parse_endpoint(place.uri, place.database), credential=None)
    async with AsyncKustoSaver(transport=transport) as saver:
        chain = Chain(saver, thread_id)
        first = await chain.step(a=1)
        transport.before = "~"
        assert await values_of(saver, config_of(thread_id)) == {"a": 1}
        assert saver.stats()["overlay_rows"] == 0
        transport.before = second = (await chain.step(a=2))["configurable"]["checkpoint_id"]
        by_id = config_of(thread_id, "", second)
        for _ in range(2):
            assert await values_of(saver, config_of(thread_id)) == {"a": 2}
            assert await values_of(saver, by_id) == {"a": 2}
            assert len(await listed(saver, config_of(thread_id))) == 2
            await saver._home.run(lambda core: core._commits.confirm())
            assert saver.stats()["overlay_rows"] == 1

        transport.before = "~"
        await saver._home.run(lambda core: core._commits.confirm())
        assert saver.stats()["overlay_rows"] == 0
        assert await values_of(saver, config_of(thread_id)) == {"a": 2}
        assert first["configurable"]["checkpoint_id"] < second

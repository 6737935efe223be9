"""Bodies: two writers of one thread fork it; the fork is found, logged and counted once."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto import Fork

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed


class ForkBodies:
    async def test_children_of_one_parent_are_a_fork(
        self, make_saver: MakeSaver, thread_id: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        saver, other = make_saver(), make_saver()
        chain = Chain(saver, thread_id)
        parent = await chain.step(a=1)
        assert await saver.afind_forks(config_of(thread_id)) == []
        children = []
        for writer in (saver, other):
            branch = Chain(writer, thread_id)
            branch.config = parent
            children.append(await branch.step(a=2))
        on_purpose = Chain(saver, thread_id)
        on_purpose.config = parent
        await on_purpose.step({"source": "fork"}, a=3)
        fork = Fork(thread_id, "", id_of(parent), tuple(sorted(map(id_of, children), reverse=True)))

        for reader in (saver, make_saver()):
            assert await reader.afind_forks(config_of(thread_id, None)) == [fork]
            assert await reader.afind_forks(config_of(thread_id, "other")) == []
            caplog.clear()
            before: int = reader.stats()["forks"]
            for _ in range(2):
                assert len(await listed(reader, config_of(thread_id))) == 4
            assert reader.stats()["forks"] == before + 1
            lines: list[Any] = [item for item in caplog.records if "forks at" in item.getMessage()]
            assert len(lines) == 1
            assert id_of(parent) in lines[0].getMessage()

"""Every read of a newest checkpoint in company: the bodies that matter most, by the shared query.

Each read asks about another thread in the same request, whichever seed decides what Kusto leaves
open; whoever is not answered by the shared request fails here instead of asking alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from shared.copy_bodies import CopyBodies, PruneBodies
from shared.delete_bodies import DeleteBodies
from shared.fork_bodies import ForkBodies
from shared.frame_bodies import FrameBodies
from shared.id_bodies import IdBodies
from shared.list_bodies import ListBodies
from shared.places import Place, local_place
from shared.run_bodies import CheckpointDeleteBodies, RunBodies
from shared.savers import of_kind
from shared.step_bodies import StepBodies
from shared.threads import Chain
from shared.write_bodies import WriteBodies

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _kql
from langgraph.checkpoint.kusto._queries import Queries
from langgraph.checkpoint.kusto._shared_reads import Question
from langgraph.checkpoint.kusto._transport import Table

pytestmark = [pytest.mark.local_only, pytest.mark.counts]

COMPANY = "it-company"
KINDS = {1: "async", 2: "sync"}


@pytest.fixture(scope="module", params=KINDS, ids=KINDS.values())
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def seeded_place(seed: int) -> Iterator[Place]:
    with local_place(seed=seed) as place:
        with KustoSaver(place.uri, place.database) as saver:
            chain = Chain(saver, COMPANY)
            asyncio.run(chain.step(whose="of another thread"))
            saver.put_writes(chain.config, [("whose", "of another thread")], "task")
        yield place


@pytest.fixture
def place(seeded_place: Place) -> Place:
    return seeded_place


@pytest.fixture(autouse=True)
def _in_company(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Send every read with another one."""
    alone: list[str] = []

    async def read_latest(self: Queries, question: Question) -> list[Table]:
        other = replace(
            question,
            thread_id=COMPANY,
            checkpoint_ns="",
            local_id="",
            local_blobs="",
            local_bytes=0,
            dead="",
            since="9999-12-31",
        )
        own, beside = await asyncio.gather(self._share(question), self._share(other))
        assert isinstance(beside, list), beside
        assert beside[1].records()[0]["thread_id"] == COMPANY
        if own is None:
            alone.append(question.thread_id)
            return await self.query(_kql.READ_LATEST, question.parameters())
        if isinstance(own, Exception):
            raise own
        assert {row["thread_id"] for table in own for row in table.records()} == {
            question.thread_id
        }
        return own

    monkeypatch.setattr(Queries, "read_latest", read_latest)
    yield
    assert alone == []


@pytest.fixture
def make_saver(
    seed: int,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(KINDS[seed], async_saver, sync_saver, {})


class TestSteps(StepBodies):
    # Too many reads of the same for what they add here.
    test_channels_by_the_thousand = None


class TestWrites(WriteBodies): ...


class TestLists(ListBodies): ...


class TestDeletes(DeleteBodies): ...


class TestRuns(RunBodies): ...


class TestCheckpointDeletes(CheckpointDeleteBodies): ...


class TestCopies(CopyBodies): ...


class TestPrunes(PruneBodies): ...


class TestForks(ForkBodies): ...


class TestFrames(FrameBodies): ...


class TestIds(IdBodies): ...

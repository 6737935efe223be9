"""The bodies that matter most, where the server decides by a seed what Kusto leaves open.

Row order, ties of `arg_max`, whether the statements of a batch see one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from shared.delete_bodies import DeleteBodies
from shared.list_bodies import ListBodies
from shared.places import Place, local_place
from shared.step_bodies import StepBodies
from shared.write_bodies import WriteBodies

from langgraph.checkpoint.kusto import AsyncKustoSaver

pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module", params=[1, 2, 3])
def seeded_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with local_place(seed=request.param) as place:
        yield place


@pytest.fixture
def place(seeded_place: Place) -> Place:
    return seeded_place


@pytest.fixture
def make_saver(async_saver: Callable[..., AsyncKustoSaver]) -> Callable[..., AsyncKustoSaver]:
    return async_saver


class TestSteps(StepBodies):
    # What is large is the same with any seed.
    test_values_of_every_size_come_back = None
    test_channels_by_the_thousand = None


class TestWrites(WriteBodies):
    test_large_writes_come_in_chunks = None


class TestLists(ListBodies): ...


class TestDeletes(DeleteBodies): ...

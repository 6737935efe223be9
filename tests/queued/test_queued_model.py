"""Random sequences of calls with queued ingestion, compared with the reference after each.

Three savers take turns: the one that took a step must agree at once, whatever the queue still
holds; before another takes one, the queue is let run empty. One process: one Azurite serves one
server at a time.
"""

from __future__ import annotations

import asyncio

import pytest
from model.operations import LEAST_STEPS
from model.sequences import try_sequence
from model.ways import Way
from shared.azurite import wait_until_empty

SEQUENCES = (1, 2, 3, 4, 7)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", SEQUENCES)
async def test_savers_show_what_the_reference_shows(storage: str, number: int) -> None:
    way = Way("queued", storage, f"Model{number}")
    assert await asyncio.to_thread(try_sequence, number, way) >= LEAST_STEPS
    wait_until_empty(storage)  # the next server knows no such database

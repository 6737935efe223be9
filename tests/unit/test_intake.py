"""Intake: how many bytes are let in; first come, first served; full means wait, then an error."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from shared.writer_bench import settle

from langgraph.checkpoint.kusto._writer import Intake
from langgraph.checkpoint.kusto.errors import BackpressureError


async def test_room_is_given_and_taken_back() -> None:
    intake = Intake(100, 1.0)
    await intake.admit(60)
    await intake.admit(40)
    assert repr(intake) == "<Intake bytes=100/100 waiting=0>"

    third = asyncio.ensure_future(intake.admit(1))
    await settle()
    assert not third.done()
    assert repr(intake) == "<Intake bytes=100/100 waiting=1>"
    intake.release(60)
    await third
    assert intake.size_bytes == 41


async def test_something_larger_than_the_bound_is_admitted_alone() -> None:
    intake = Intake(100, 1.0)
    await intake.admit(1_000)
    second = asyncio.ensure_future(intake.admit(1))
    await settle()
    assert not second.done()
    intake.release(1_000)
    await second

    large = asyncio.ensure_future(intake.admit(1_000))
    await settle()
    assert not large.done()
    intake.release(1)
    await large


async def test_first_come_first_served() -> None:
    """A small one does not overtake a large one, which would wait for ever."""
    intake = Intake(100, 1.0)
    await intake.admit(100)
    order: list[str] = []

    async def enter(name: str, size: int) -> None:
        await intake.admit(size)
        order.append(name)

    tasks = [asyncio.ensure_future(enter("large", 90)), asyncio.ensure_future(enter("small", 5))]
    await settle()
    intake.release(50)
    await settle()
    assert order == []
    intake.release(50)
    await asyncio.gather(*tasks)
    assert order == ["large", "small"]
    assert intake.size_bytes == 95


async def test_full_means_wait_then_a_named_error(clock: Any) -> None:
    intake = Intake(100, 60.0)
    await intake.admit(90)
    waiting = asyncio.ensure_future(intake.admit(20))
    await clock.advance(30)
    behind = asyncio.ensure_future(intake.admit(10))
    await clock.advance(29)
    assert not waiting.done()
    await clock.advance(2)

    assert waiting.done()
    with pytest.raises(
        BackpressureError, match=r"no room for 20 bytes in 60 s: 90 of 100 bytes.*intake_bytes"
    ):
        await waiting
    assert behind.done()  # whoever stood behind is let in
    await behind
    assert repr(intake) == "<Intake bytes=100/100 waiting=0>"


async def test_room_that_comes_with_the_last_moment_is_taken(clock: Any) -> None:
    intake = Intake(100, 60.0)
    await intake.admit(100)
    waiting = asyncio.ensure_future(intake.admit(20))
    await clock.advance(0)
    clock.ahead += 61
    intake.release(100)
    await waiting

    assert intake.size_bytes == 20


async def test_cancelling_somebody_who_waits() -> None:
    intake = Intake(100, 60.0)
    await intake.admit(90)
    waiting = asyncio.ensure_future(intake.admit(20))
    behind = asyncio.ensure_future(intake.admit(10))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await behind

    assert repr(intake) == "<Intake bytes=100/100 waiting=0>"


async def test_cancelling_somebody_who_was_let_in_meanwhile() -> None:
    intake = Intake(100, 60.0)
    await intake.admit(100)
    waiting = asyncio.ensure_future(intake.admit(20))
    await settle()
    intake.release(100)  # lets it in, and before it runs it is cancelled
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert intake.size_bytes == 0


@pytest.mark.parametrize("seed", range(10))
async def test_no_room_is_ever_lost(seed: int) -> None:
    chance = random.Random(seed)
    intake = Intake(100, 60.0)
    most = 0

    async def use(size: int) -> None:
        nonlocal most
        await intake.admit(size)
        try:
            assert intake.size_bytes <= max(100, size)
            most = max(most, intake.size_bytes)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        finally:
            intake.release(size)

    tasks = []
    for _ in range(200):
        tasks.append(asyncio.ensure_future(use(chance.choice([0, 1, 30, 60, 100, 250]))))
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        if chance.random() < 0.3:
            chance.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert repr(intake) == "<Intake bytes=0/100 waiting=0>"
    assert most >= 100

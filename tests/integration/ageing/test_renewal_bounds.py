"""What a renewal holds in memory, asks for at once, and leaves behind when it ends in the middle.

By clocks that are set forward; see `test_renewal.py` for the threads that live on it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from shared.aged_threads import AgedThread, old_thread
from shared.ageing import Advance
from shared.places import Place, command, query
from shared.threads import config_of, new_checkpoint, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, _kql, _renewal
from langgraph.checkpoint.kusto._core import Core
from langgraph.checkpoint.kusto._transport import SdkTransport, Table
from langgraph.checkpoint.kusto.errors import (
    BackpressureError,
    CorruptValueError,
    ResultTooLargeError,
)

pytestmark = [pytest.mark.local_only, pytest.mark.timeout(300)]

MakeSaver = Callable[..., AsyncKustoSaver]


# ------------------------------------------------------------------------------- memory


async def test_renewals_hold_no_more_than_the_intake(
    place: Place, async_saver: MakeSaver, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many threads are due at once: what is read to be sent again waits for room like any put."""
    intake_bytes = 2 * 1024 * 1024
    writer = async_saver()
    threads = [AgedThread(f"thread{number}", ["messages"]) for number in range(4)]
    for number, thread in enumerate(threads):
        await thread.put(writer, 0, None, ["messages"])
        await thread.write(writer, thread.newest, ("messages", noise(2_000_000, number)))
    advance(31)
    held: Counter[Any] = Counter()
    peak = 0
    same_rows, send_again = _renewal.same_rows, Core.send_again

    def counted(table: str, records: Any) -> list[bytes]:
        nonlocal peak
        rows = same_rows(table, records)
        held[asyncio.current_task()] += sum(map(len, rows))
        peak = max(peak, held.total())
        return rows

    async def sent(self: Core, *args: Any) -> Any:
        try:
            return await send_again(self, *args)
        finally:
            del held[asyncio.current_task()]

    monkeypatch.setattr(_renewal, "same_rows", counted)
    monkeypatch.setattr(Core, "send_again", sent)
    saver = async_saver(intake_bytes=intake_bytes)
    await asyncio.gather(*(thread.put(saver, 31) for thread in threads))
    assert saver.stats()["renewals"] == 4
    assert 900_000 < peak <= intake_bytes
    for thread in threads:
        await thread.check_newest(async_saver())


async def test_a_cancelled_renewal_keeps_the_room_of_what_is_in_flight(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    thread = AgedThread("cancelled", ["messages"])
    first = async_saver()
    await thread.put(first, 0, None, ["messages"])
    await thread.write(first, thread.newest, ("messages", noise(700_000)))
    advance(31)
    saver = async_saver(intake_bytes=2_000_000, intake_timeout=0.1)
    stall = place.server.faults.add("stall", endpoint="ingest", table="CheckpointWrites")
    put = asyncio.ensure_future(thread.put(saver, 31))
    await asyncio.to_thread(stall.wait_hit, 10)
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put

    other = new_checkpoint({"large": noise(1_000_000)})
    with pytest.raises(BackpressureError, match="are waiting to be acknowledged"):
        await saver.aput(config_of("other"), other, {"source": "input", "step": -1}, {"large": 1})
    stall.release()
    # The rows land by themselves, and give back their room.
    while "bytes=0/" not in repr(saver):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.005)
    await saver.aput(config_of("other"), other, {"source": "input", "step": -1}, {"large": 1})
    await thread.put(saver, 31)
    assert saver.stats()["renewals"] == 1
    await thread.check_newest(async_saver())


# ------------------------------------------------------------------------------- requests


async def test_concurrent_puts_read_the_policies_once(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    saver = async_saver()
    large = noise(50_000)
    threads = [AgedThread(f"thread{number}", ["none"]) for number in range(30)]
    for thread in threads:
        await thread.put(saver, 0, document=large)
    advance(2)
    place.server.requests.reset()
    await asyncio.gather(*(thread.put(saver, 2, document=large) for thread in threads))
    assert place.server.requests.count("mgmt") == 2
    assert saver.stats()["blobs_stored"] == 30


async def test_commands_count_as_queries_at_a_time(
    place: Place, async_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, peak = 0, 0
    real = SdkTransport.command

    async def counted(self: SdkTransport, text: str) -> Table:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        try:
            return await real(self, text)
        finally:
            running -= 1

    monkeypatch.setattr(SdkTransport, "command", counted)
    saver = async_saver(max_queries=2)
    await asyncio.gather(*(saver.setup() for _ in range(6)))
    assert peak == 2


# ------------------------------------------------------------------------------- large lists


async def test_ids_of_great_length_are_all_sent_again(
    place: Place, async_saver: MakeSaver, advance: Advance
) -> None:
    """As one list they would pass 1 MiB, of which Kusto makes nothing at all."""
    saver = async_saver()
    ids = [f"{number:02}" + "x" * 65_000 for number in range(14)]
    counted: Any = {"source": "loop", "counters_since_delta_snapshot": {"messages": [1, 1]}}

    async def put(saver: AsyncKustoSaver, number: int) -> None:
        parent = ids[number - 1] if number else None
        checkpoint = new_checkpoint({}, {"messages": number + 1}, ids[number])
        await saver.aput(
            config_of("long", "", parent), checkpoint, counted, {"messages": number + 1}
        )

    for number in range(13):
        await put(saver, number)
        config = config_of("long", "", ids[number])
        await saver.aput_writes(config, [("messages", number)], "task")
    advance(100)
    last = async_saver()
    await put(last, 13)
    assert last.stats()["rows_renewed"] == 26
    advance(60)
    found = await async_saver().aget_delta_channel_history(
        config=config_of("long", "", ids[13]), channels=["messages"]
    )
    assert [value for _, _, value in found["messages"]["writes"]] == list(range(13))


async def test_a_list_of_ancestors_that_is_too_large_is_asked_for_in_halves(
    place: Place, async_saver: MakeSaver, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await old_thread(async_saver(), advance)
    real, refused = Core.query, 0

    async def one_at_a_time(self: Core, text: Any, parameters: Mapping[str, Any]) -> list[Table]:
        nonlocal refused
        if text == _kql.WEIGH_ANCESTORS and "," in parameters["p_heads"]:
            refused += 1
            raise ResultTooLargeError("over 64 MB")
        return await real(self, text, parameters)

    monkeypatch.setattr(Core, "query", one_at_a_time)
    await thread.put(async_saver(), 31)
    assert refused == 2, "of three beside the newest, and of the two that are left"
    advance(89)
    await thread.check_newest(async_saver())


# ------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("group", [1, 2_000])
async def test_an_older_checkpoint_is_never_the_newest_wherever_a_renewal_ends(
    place: Place,
    async_saver: MakeSaver,
    advance: Advance,
    monkeypatch: pytest.MonkeyPatch,
    group: int,
) -> None:
    """The view has let go of a thread that rested for long; what is sent again enters it anew."""
    writer = async_saver()
    threads = [AgedThread(f"rested{number}", ["messages"]) for number in range(9)]
    for thread in threads:
        for number in range(3):
            await thread.put(writer, 0)
            await thread.write(writer, thread.newest, ("messages", number))
    advance(100)
    monkeypatch.setattr(_renewal, "_GROUP_ANCESTORS", group)
    send_again = Core.send_again
    left = 0

    class KilledError(Exception):
        pass

    async def until_killed(self: Core, *args: Any) -> Any:
        nonlocal left
        if not left:
            raise KilledError
        left -= 1
        return await send_again(self, *args)

    monkeypatch.setattr(Core, "send_again", until_killed)
    ends = []
    for number, thread in enumerate(threads):
        left = number
        newest = thread.newest.checkpoint_id
        try:
            await thread.put(async_saver(), 100)
        except KilledError:
            found = await async_saver().aget_tuple(thread.config())
            ends.append(found and found.checkpoint["id"])
            assert ends[-1] in (None, newest)
        else:
            await thread.check_newest(async_saver())
    assert {None} < set(ends), "killed before and after the newest was sent"


# ------------------------------------------------------------------------------- damage


async def test_a_damaged_ancestor_does_not_end_its_thread(
    place: Place, async_saver: MakeSaver, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    """Puts go on and the rest is renewed; who reads what it holds hears which one is damaged."""
    thread = await old_thread(async_saver(), advance)
    damaged = thread.puts[1].checkpoint_id
    where = f"checkpoint_id == '{damaged}'"
    [row] = query(place, f"Checkpoints | where {where}")
    command(place, f".delete table Checkpoints records <| Checkpoints | where {where}")
    body = orjson.dumps({**row, "blob_refs": "?"}).decode()
    command(
        place,
        ".ingest inline into table Checkpoints with (format='multijson',"
        f" ingestionMappingReference='Checkpoints_v1') <| {body}",
    )
    saver = async_saver()
    await thread.put(saver, 31)
    assert saver.stats()["renewals"] == 1
    assert f"checkpoint '{damaged}' of thread 'old' is not JSON" in caplog.text
    advance(89.5)  # what was not sent again is gone
    for reader in (saver, async_saver()):
        newest = thread.newest
        found = await reader.aget_tuple(thread.config())
        assert found is not None
        assert found.checkpoint["id"] == newest.checkpoint_id
        with pytest.raises(CorruptValueError, match=f"{damaged}.* use an earlier checkpoint"):
            await reader.aget_delta_channel_history(
                config=thread.config(newest), channels=["messages"]
            )
        for aged in (thread.puts[0], thread.puts[2], thread.puts[3]):
            assert await reader.aget_tuple(thread.config(aged)) is not None
        with pytest.raises(CorruptValueError, match=damaged):
            await reader.aget_tuple(thread.config(thread.puts[1]))

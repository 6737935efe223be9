"""Answers that Kusto does not give: no call hangs, returns something wrong, or breaks the next."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from shared.lying_server import Answer, LyingServer, body, changed, encoded, endless
from shared.places import Place
from shared.threads import Chain, config_of, listed, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto._transport import sdk

pytestmark = pytest.mark.local_only

OPTIONS: dict[str, Any] = {
    "max_retries": 0,
    "query_timeout": 0.5,
    "ingest_timeout": 1.0,
    "visibility_timeout": 0.0,
}
# Where every answer ends, a busy machine may take longer for a true one.
PATIENT = {**OPTIONS, "query_timeout": 20.0, "ingest_timeout": 20.0}
VALUES = {"number": 1, "text": "one", "large": noise(50_000), "nested": {"a": [1, None]}}
WRITES = [("a", 1), ("b", noise(30_000, 1))]


@pytest.fixture
async def liar(place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LyingServer]:
    monkeypatch.setattr(sdk, "_ANSWER_SECONDS", 1.5)
    async with LyingServer(place.uri).running() as liar:
        yield liar


def frames(change: Callable[[list[dict[str, Any]]], Any]) -> Answer:
    """Answer what a function makes of the right frames."""
    return changed(lambda right: json.dumps(change(json.loads(right))).encode())


def primary(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame for frame in found if frame.get("TableKind") == "PrimaryResult"]


def without_table(index: int) -> Answer:
    def change(found: list[dict[str, Any]]) -> Any:
        tables = primary(found)
        lost = tables[index] if -len(tables) <= index < len(tables) else None
        return [frame for frame in found if frame is not lost]

    return frames(change)


def with_table(at_start: bool) -> Answer:
    def change(found: list[dict[str, Any]]) -> Any:
        extra = {**primary(found)[0], "TableName": "Extra", "Rows": []}
        return [found[0], extra, *found[1:]] if at_start else [*found[:-1], extra, found[-1]]

    return frames(change)


def reordered(found: list[dict[str, Any]]) -> Any:
    tables = primary(found)
    rest = [frame for frame in found if frame not in tables]
    return [*rest[:-1], *reversed(tables), rest[-1]]


def cells(change: Callable[[Any], Any]) -> Answer:
    """Answer with every cell of the results changed."""

    def change_frames(found: list[dict[str, Any]]) -> Any:
        for table in primary(found):
            table["Rows"] = [[change(cell) for cell in row] for row in table["Rows"]]
        return found

    return frames(change_frames)


def rows(change: Callable[[list[Any]], Any]) -> Answer:
    def change_frames(found: list[dict[str, Any]]) -> Any:
        for table in primary(found):
            table["Rows"] = [change(row) for row in table["Rows"]]
        return found

    return frames(change_frames)


def columns(change: Callable[[list[dict[str, Any]]], Any]) -> Answer:
    def change_frames(found: list[dict[str, Any]]) -> Any:
        for table in primary(found):
            table["Columns"] = change(table["Columns"])
        return found

    return frames(change_frames)


def completed(**fields: Any) -> Answer:
    return frames(lambda found: [*found[:-1], {**found[-1], **fields}])


ONE_API = {"error": {"code": "Internal", "@message": "it broke", "@permanent": False}}
DEEP = b"[" * 100_000
PAGE = b"<html><body>502 Bad Gateway</body></html>"

# Not JSON, or not the JSON of a v2 answer; the pattern is what the message says.
SHAPES: dict[str, tuple[Answer, str]] = {
    "truncated": (changed(lambda right: right[: len(right) // 2]), "is not Kusto's|could not be"),
    "truncated by one": (changed(lambda right: right[:-1]), "is not Kusto's|could not be"),
    "empty": (body(b""), "is not a list|is not Kusto's|could not be read"),
    "blank": (body(b" \n"), "is not a list|is not Kusto's|could not be read"),
    "html": (body(PAGE, "text/html"), "HTTP 200"),
    "html as json": (body(PAGE), "is not Kusto's|could not be read"),
    "no content": (body(b"", status=204), "HTTP 204|is not|could not"),
    "a redirect": (body(b"", status=302), "HTTP 302"),
    "null": (body(b"null"), "is not a list of frames"),
    "a number": (body(b"1"), "is not a list of frames"),
    "a text": (body(b'"[]"'), "is not a list of frames"),
    "an object": (body(b"{}"), "is not a list of frames"),
    "a v1 answer": (body(b'{"Tables": []}'), "is not a list of frames"),
    "an error as 200": (body(json.dumps(ONE_API).encode()), "it broke|is not a list of frames"),
    "no frames": (body(b"[]"), "cut before its last frame"),
    "no completion": (frames(lambda found: found[:-1]), "cut before its last frame"),
    "frames of nothing": (body(b"[null, null]"), "is not a list of frames"),
    "progressive": (
        frames(lambda found: [{"FrameType": "TableProgress"}, *found]),
        "has a frame 'TableProgress'",
    ),
    "not utf-8": (changed(lambda right: right.replace(b'"Rows"', b'"Ro\xffs"')), "Kusto|could not"),
    "not a number": (changed(lambda right: right[:-1] + b", NaN]"), "is not a list of frames"),
    "deep": (body(DEEP), "is not Kusto's|could not be read"),
    "gzip that is none": (encoded("gzip"), "did not answer|is not Kusto's|could not be read"),
    "deflate that is none": (encoded("deflate"), "did not answer|is not Kusto's|could not be read"),
    "endless drops": (endless(b" ", 0.05), "no answer in"),
    "endless bytes": (endless(b" " * 100_000, 0), "no answer in|over .* bytes"),
    "rows that are null": (
        frames(lambda found: [{**frame, "Rows": None} for frame in found]),
        "has a frame|table without rows",
    ),
    "columns that are text": (columns(lambda found: "abc"), "table without rows|columns"),
    "columns of nothing": (columns(lambda found: [None for _ in found]), "a column without a name"),
    "wide rows": (rows(lambda row: [*row, 1]), "row of another width"),
    "narrow rows": (rows(lambda row: row[:-1]), "row of another width"),
    "rows of text": (rows(lambda row: "x" * len(row)), "row of another width"),
    "an error among the rows": (
        rows(lambda row: {"OneApiErrors": [ONE_API]}),
        "it broke",
    ),
    "an empty object among the rows": (rows(lambda row: {}), "has errors"),
    "errors at the end": (completed(HasErrors=True, OneApiErrors=[ONE_API]), "it broke"),
    "errors without a word": (completed(HasErrors=True), "has errors"),
    "errors of another shape": (completed(HasErrors=True, OneApiErrors=5), "has errors|5"),
    "cancelled": (completed(Cancelled=True), "has errors"),
}

# JSON of the right shape with wrong contents: each call may notice, or be right all the same.
CONTENTS: dict[str, Answer] = {
    "no tables": frames(lambda found: [frame for frame in found if frame not in primary(found)]),
    **{f"without table {index}": without_table(index) for index in (0, 1, 2, -1)},
    "a table more at the start": with_table(True),
    "a table more at the end": with_table(False),
    "tables reordered": frames(reordered),
    "columns renamed": columns(
        lambda found: [{**column, "ColumnName": f"x{index}"} for index, column in enumerate(found)]
    ),
    "columns without names": columns(lambda found: [{} for _ in found]),
    "rows reversed": rows(lambda row: row[::-1]),
    "cells null": cells(lambda cell: None),
    "cells numbers": cells(lambda cell: 5),
    "cells negative": cells(lambda cell: -1 if isinstance(cell, int) else cell),
    "cells large": cells(lambda cell: 10**30 if isinstance(cell, int) else cell),
    "cells floating": cells(lambda cell: 0.5 if isinstance(cell, int) else cell),
    "cells true": cells(lambda cell: True),
    "cells text": cells(lambda cell: "?"),
    "cells empty": cells(lambda cell: ""),
    "cells lists": cells(lambda cell: [cell]),
    "cells objects": cells(lambda cell: {"a": cell}),
    "cells numbers as text": cells(lambda cell: str(cell)),
    "text huge": cells(lambda cell: "x" * 1_000_000 if isinstance(cell, str) else cell),
    "surrogates": cells(lambda cell: "\ud800" if isinstance(cell, str) else cell),
}


async def written(place: Place, thread_id: str) -> None:
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        stored = await Chain(saver, thread_id).step(**VALUES)
        await saver.aput_writes(stored, WRITES, "task")


async def assert_whole(saver: Any, thread_id: str) -> None:
    item = await saver.aget_tuple(config_of(thread_id))
    assert_right(item)
    assert await listed(saver, config_of(thread_id)) == [item]


def assert_right(item: Any) -> None:
    assert item is not None
    assert item.checkpoint["channel_values"] == VALUES
    assert item.pending_writes == [("task", *write) for write in WRITES]


def reads(saver: Any, thread_id: str) -> dict[str, Callable[[], Any]]:
    return {
        "get": lambda: saver.aget_tuple(config_of(thread_id)),
        "list": lambda: listed(saver, config_of(thread_id)),
        "delete": lambda: saver.adelete_thread(thread_id),
    }


def assert_ours(error: BaseException, message: str = "") -> None:
    assert isinstance(error, errors.KustoCheckpointError), repr(error)
    assert re.search(message, str(error)), str(error)


@pytest.mark.parametrize("name", SHAPES)
async def test_a_query_answered_in_another_shape(
    liar: LyingServer,
    place: Place,
    thread_id: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, message = SHAPES[name]
    monkeypatch.setattr(sdk, "_LARGEST_ANSWER_BYTES", 3_000_000)
    await written(place, thread_id)
    for call in ("get", "list", "delete"):
        async with AsyncKustoSaver(liar.url, place.database, **OPTIONS) as saver:
            liar.lie("/v2/rest/query", answer)
            with pytest.raises(errors.KustoCheckpointError) as caught:
                await reads(saver, thread_id)[call]()
            assert_ours(caught.value, message)
            assert liar.lies > 0
            liar.tell_the_truth()
            await assert_whole(saver, thread_id)


@pytest.mark.parametrize("name", CONTENTS)
async def test_a_query_answered_with_other_contents(
    liar: LyingServer, place: Place, thread_id: str, name: str
) -> None:
    await written(place, thread_id)
    for call in ("get", "list"):
        async with AsyncKustoSaver(liar.url, place.database, **PATIENT) as saver:
            liar.lie("/v2/rest/query", CONTENTS[name])
            try:
                found = await reads(saver, thread_id)[call]()
            except errors.KustoCheckpointError:
                pass
            else:
                (item,) = found if call == "list" else [found]
                assert_right(item)
            liar.tell_the_truth()
            await assert_whole(saver, thread_id)


WHOLE_THREAD_CALLS = ("prune", "copy", "forks")


@pytest.mark.parametrize("call", WHOLE_THREAD_CALLS)
@pytest.mark.parametrize("name", CONTENTS)
async def test_what_works_on_a_whole_thread_is_answered_with_other_contents(
    liar: LyingServer, place: Place, thread_id: str, name: str, call: str
) -> None:
    """It raises an error of ours, or works on what it was told; nothing else is done."""
    await written(place, thread_id)
    async with AsyncKustoSaver(liar.url, place.database, **PATIENT) as saver:
        calls: dict[str, Callable[[], Any]] = {
            "prune": lambda: saver.aprune([thread_id], dry_run=True),
            "copy": lambda: saver.acopy_thread(thread_id, f"{thread_id} copy"),
            "forks": lambda: saver.afind_forks(config_of(thread_id)),
        }
        liar.lie("/v2/rest/query", CONTENTS[name])
        with suppress(errors.KustoCheckpointError):
            await calls[call]()
        assert liar.lies > 0
        liar.tell_the_truth()
        await assert_whole(saver, thread_id)
        await saver.adelete_thread(f"{thread_id} copy")


async def test_many_rows_in_one_answer(liar: LyingServer, place: Place, thread_id: str) -> None:
    """Duplicates are nothing new; a row of another width is noticed at the end of many."""
    await written(place, thread_id)
    async with AsyncKustoSaver(liar.url, place.database, **PATIENT) as saver:

        def many(found: list[dict[str, Any]]) -> Any:
            for table in primary(found):
                table["Rows"] = table["Rows"] * 200
            return found

        liar.lie("/v2/rest/query", frames(many))
        try:
            assert_right(await saver.aget_tuple(config_of(thread_id)))
        except errors.KustoCheckpointError as error:
            assert_ours(error)
        liar.tell_the_truth()
        await assert_whole(saver, thread_id)


INGEST_SHAPES = [
    name
    for name in SHAPES
    if name
    in (
        "truncated",
        "empty",
        "html",
        "html as json",
        "no content",
        "a redirect",
        "deep",
        "gzip that is none",
        "endless drops",
    )
]


@pytest.mark.parametrize("name", INGEST_SHAPES)
async def test_an_ingest_answered_in_another_shape(
    liar: LyingServer, place: Place, thread_id: str, name: str
) -> None:
    """The rows landed: the put says that it does not know, and sent again it is one checkpoint."""
    answer, _ = SHAPES[name]
    async with AsyncKustoSaver(liar.url, place.database, **OPTIONS) as saver:
        await Chain(saver, thread_id).step(number=0)
        liar.lie("/v1/rest/ingest", answer)
        chain = Chain(saver, thread_id)
        with pytest.raises(errors.KustoCheckpointError) as caught:
            await chain.step(**VALUES)
        assert_ours(caught.value, "ingest")
        assert caught.value.retriable
        liar.tell_the_truth()
        stored = await chain.step()
        await saver.aput_writes(stored, WRITES, "task")
        assert_right(await saver.aget_tuple(config_of(thread_id)))
    async with AsyncKustoSaver(
        liar.url, place.database, **{**OPTIONS, "max_retries": 3, "retry_backoff": 0.001}
    ) as saver:
        liar.lie("/v1/rest/ingest", answer)
        put = asyncio.ensure_future(Chain(saver, f"{thread_id}-again").step(**VALUES))
        await asyncio.wait_for(liar.lied.wait(), 10)
        liar.tell_the_truth()
        await put
        found = await saver.aget_tuple(config_of(f"{thread_id}-again"))
        assert found.checkpoint["channel_values"] == VALUES
        await saver.adelete_thread(f"{thread_id}-again")


def tables(change: Callable[[dict[str, Any]], Any]) -> Answer:
    return changed(lambda right: json.dumps(change(json.loads(right))).encode())


def first_rows(change: Callable[[list[Any]], Any]) -> Answer:
    def change_tables(found: dict[str, Any]) -> Any:
        table = found["Tables"][0]
        return {**found, "Tables": [{**table, "Rows": change(table["Rows"])}]}

    return tables(change_tables)


COMMAND_ANSWERS: dict[str, Answer] = {
    **{name: SHAPES[name][0] for name in (*INGEST_SHAPES, "null", "a number", "no frames")},
    "no tables": body(b'{"Tables": []}'),
    "a table of nothing": body(b'{"Tables": [{}]}'),
    "no rows": first_rows(lambda found: []),
    "rows null": first_rows(lambda found: None),
    "cells null": first_rows(lambda found: [[None for _ in row] for row in found]),
    "cells text": first_rows(lambda found: [["?" for _ in row] for row in found]),
    "cells json": first_rows(lambda found: [["[1]" for _ in row] for row in found]),
    "cells objects": first_rows(
        lambda found: [['{"Databases": {"a": 1}}' for _ in r] for r in found]
    ),
    "cells numbers": first_rows(lambda found: [[5 for _ in row] for row in found]),
    "wide rows": first_rows(lambda found: [[*row, 1] for row in found]),
    "other columns": tables(
        lambda found: {"Tables": [{"Columns": [{"ColumnName": "x"}], "Rows": [["y"]]}]}
    ),
    "columns of nothing": tables(lambda found: {"Tables": [{"Columns": [None], "Rows": [["y"]]}]}),
    "exceptions": tables(lambda found: {**found, "Exceptions": ["it broke"]}),
    "exceptions of another shape": tables(lambda found: {**found, "Exceptions": 5}),
}


@pytest.mark.parametrize("name", COMMAND_ANSWERS)
async def test_a_command_answered_with_something_else(
    liar: LyingServer, place: Place, name: str
) -> None:
    """Both kinds of `setup` raise; only a check can believe that nothing is there."""
    async with AsyncKustoSaver(liar.url, place.database, **OPTIONS) as saver:
        for create in (False, True):
            liar.lie("/v1/rest/mgmt", COMMAND_ANSWERS[name])
            try:
                await saver.setup(create)
            except errors.KustoCheckpointError as error:
                assert_ours(error, r"\w+")
            else:
                assert create, "a check must not believe this"
            liar.tell_the_truth()
        await saver.setup()


async def test_the_sync_saver_hears_the_same(
    liar: LyingServer, place: Place, thread_id: str
) -> None:
    await written(place, thread_id)

    def call() -> None:
        with KustoSaver(liar.url, place.database, **OPTIONS) as saver:
            for name in ("truncated", "html", "endless drops"):
                answer, message = SHAPES[name]
                liar.lie("/v2/rest/query", answer)
                with pytest.raises(errors.KustoCheckpointError, match=message):
                    saver.get_tuple(config_of(thread_id))
                liar.tell_the_truth()
                assert_right(saver.get_tuple(config_of(thread_id)))

    await asyncio.to_thread(call)

"""What a call was given: refused before anything is sent, with what is wrong and what to pass.

Every case goes through the public methods of both savers. What only looks odd is stored as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared.bad_calls import CASES, CONFIGS, THREAD_FORM, Call, lists, put, put_writes
from shared.places import Place, local_place
from shared.refusals import refused
from shared.savers import of_kind
from shared.threads import Chain, config_of, id_of, listed, listed_ids, new_checkpoint

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors

pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with local_place() as place:
        yield place


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(request.param, async_saver, sync_saver, {})


@pytest.fixture
def saver(make_saver: Callable[..., Any]) -> Any:
    return make_saver()


@pytest.fixture
def thread() -> str:
    return f"t-{uuid.uuid4()}"


async def check(saver: Any, call: Call, name: str, *parts: str) -> None:
    """The call is refused, and nothing was sent for it."""
    before = saver.stats()
    error = await refused(call(saver), name, *parts)
    assert isinstance(error, ValueError | TypeError)
    after = saver.stats()
    for counter in ("queries", "ingest_requests", "puts", "put_writes", "lists", "deletes"):
        assert after[counter] == before[counter], counter


# -- configs: the same for every method ------------------------------------------------------------


@pytest.mark.parametrize(("config", "name", "message"), CONFIGS, ids=range(len(CONFIGS)))
async def test_a_config_that_names_no_place(
    saver: Any, config: Any, name: str, message: str
) -> None:
    for call in (
        lambda saver: saver.aget_tuple(config),
        put(config=config),
        put_writes(config=config),
        lists(config),
    ):
        await check(saver, call, name, message)


async def test_no_config_at_all(saver: Any) -> None:
    """But `list` takes None for all threads."""
    message = f"the config must be a dict, not NoneType; {THREAD_FORM}"
    for call in (lambda saver: saver.aget_tuple(None), put(config=None), put_writes(config=None)):
        await check(saver, call, "InvalidConfigError", message)


# -- one method each -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
async def test_a_call_that_cannot_be_meant(saver: Any, case: str) -> None:
    call, name, message = CASES[case]
    await check(saver, call, name, message)


@pytest.mark.parametrize("version", ["x", "", "1e3", [], b"1", float("nan"), float("inf")])
def test_a_version_without_a_number_to_count_on_from(saver: Any, version: Any) -> None:
    with pytest.raises(errors.InvalidConfigError) as caught:
        saver.get_next_version(version, None)
    assert str(caught.value) == (
        f"the channel version {version!r} ({type(version).__name__}) has no number to count on"
        " from; use those of get_next_version, or numbers"
    )


# -- odd, and right --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "versions"),
    [
        ({"v": 99}, {"a": 1}),
        ({"v": "unknown"}, {"a": None}),
        ({"v": None, "ts": 5, "versions_seen": 3}, {"a": [1], 2: b"x", "not there": "1"}),
        ({"channel_versions": None}, None),
    ],
    ids=["a newer version", "no version", "odd types", "no versions"],
)
async def test_the_body_of_a_checkpoint_is_langgraphs_business(
    make_saver: Callable[..., Any], thread: str, more: dict[str, Any], versions: Any
) -> None:
    """What versions mean LangGraph knows; they come back as they were."""
    checkpoint = new_checkpoint({"a": b"x" * 50_000}, versions, **more)
    stored = await make_saver().aput(config_of(thread), checkpoint, {}, versions or {})

    found = await make_saver().aget_tuple(stored)
    assert dict(found.checkpoint) == dict(checkpoint)


async def test_metadata_that_json_has_no_form_for(
    make_saver: Callable[..., Any], thread: str
) -> None:
    metadata = {1: "a", None: b"x", "deep": [{2: {3}}], "step": "no number", "source": 5}
    stored = await make_saver().aput(config_of(thread), new_checkpoint(), metadata, {})

    found = await make_saver().aget_tuple(stored)
    assert found.metadata == metadata
    (item,) = await listed(make_saver(), config_of(thread), filter={"source": 5})
    assert item.metadata == metadata


async def test_what_leaves_something_open(make_saver: Callable[..., Any], thread: str) -> None:
    saver = make_saver()
    chain = Chain(saver, thread)
    stored = [await chain.step(n=number) for number in range(3)]
    newest_first = [id_of(config) for config in reversed(stored)]

    for checkpoint_ns in (None, ""):
        for checkpoint_id in (None, ""):
            config = {
                "configurable": {
                    "thread_id": thread,
                    "checkpoint_ns": checkpoint_ns,
                    "checkpoint_id": checkpoint_id,
                }
            }
            assert (await saver.aget_tuple(config)).config == stored[-1]
            assert await listed_ids(saver, config) == newest_first  # type: ignore[arg-type]  # the case
    for limit in (0, -1, -(10**30)):
        assert await listed_ids(saver, config_of(thread), limit=limit) == []
    assert await listed_ids(saver, config_of(thread), limit=10**30) == newest_first
    for before in (config_of(thread), config_of(thread, "", ""), {"configurable": {}}):
        assert await listed_ids(saver, config_of(thread), before=before) == newest_first


async def test_errors_are_logged_and_counted(saver: Any, caplog: pytest.LogCaptureFixture) -> None:
    """LangGraph may swallow a saver's error when a node failed too."""
    await refused(put(checkpoint=new_checkpoint({"a": open}))(saver), "SerializationError", "'a'")
    await refused(put_writes(config=config_of("t"))(saver), "InvalidConfigError", "checkpoint_id")
    assert saver.stats()["errors"] == 2
    assert saver.stats()["puts"] == saver.stats()["put_writes"] == 0
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [line.split(":")[0] for line in lines] == [
        "put of 't' failed",
        "put_writes of 't' failed",
    ]
    assert "SerializationError" in lines[0]

"""What a user writes, judged by `mypy --strict` through the installed package. Never run."""

from __future__ import annotations

from azure.identity import DefaultAzureCredential
from azure.identity.aio import ManagedIdentityCredential
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict, assert_type

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoCheckpointError, KustoSaver, errors
from langgraph.checkpoint.kusto.aio import AsyncKustoSaver as AsyncKustoSaverOfAio
from langgraph.checkpoint.kusto.local import LocalKusto

URI = "https://mycluster.westeurope.kusto.windows.net"
CONFIG: RunnableConfig = {"configurable": {"thread_id": "1"}}


class State(TypedDict):
    text: str


def node(state: State) -> State:
    return {"text": state["text"] + "!"}


async def with_the_async_saver() -> None:
    async with AsyncKustoSaver.from_connection_string(
        cluster_uri=URI, database="agents", credential=DefaultAzureCredential()
    ) as saver:
        assert_type(saver, AsyncKustoSaver)
        await saver.setup(create=True)
        builder = StateGraph(State)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=saver)
        await graph.ainvoke({"text": "hello"}, CONFIG)
        assert_type(await saver.aget_tuple(CONFIG), CheckpointTuple | None)
        async for item in saver.alist(CONFIG, filter={"step": 1}, limit=3):
            assert_type(item, CheckpointTuple)
        await saver.flush()
        assert_type(saver.stats(), dict[str, int])
        await saver.adelete_thread("1")


def with_the_sync_saver() -> None:
    saver = KustoSaver(
        URI,
        "agents",
        credential="app-id;app-key;tenant",
        serde=JsonPlusSerializer(pickle_fallback=True),
        write_mode="buffered",
        batch_size=500,
        flush_interval=60,
        query_timeout=30,
        max_retries=3,
        retry_backoff=1.0,
    )
    with saver as entered:
        assert_type(entered, KustoSaver)
        entered.setup()
        for item in entered.list(None, before=CONFIG):
            assert_type(item.config, RunnableConfig)
        entered.flush()
    saver.close()


def with_another_way_of_ingestion() -> None:
    KustoSaver("http://localhost:8080", "NetDefaultDB", ingestion="inline").close()
    KustoSaver(URI, "agents", ingestion="queued", queued_timeout=600).close()
    AsyncKustoSaver.from_connection_string(
        URI, "agents", ingestion="queued", ingestion_uri="https://ingest-mycluster.example"
    )
    KustoSaver(URI, "agents", ingestion="managed")  # type: ignore[arg-type]


def options_are_checked() -> None:
    KustoSaver(URI, "agents", write_mode="sometimes")  # type: ignore[arg-type]
    KustoSaver(URI, "agents", batch_sice=3)  # type: ignore[call-arg]
    KustoSaver(URI, "agents", credential=7)  # type: ignore[arg-type]
    AsyncKustoSaver.from_connection_string(URI, "agents", max_retries="3")  # type: ignore[arg-type]


def either_is_a_saver(saver: AsyncKustoSaver | KustoSaver) -> BaseCheckpointSaver[str]:
    return saver


async def with_a_managed_identity() -> None:
    saver = AsyncKustoSaverOfAio(URI, "agents", credential=ManagedIdentityCredential())
    try:
        await saver.aput_writes(CONFIG, [("channel", 1)], "task")
    except errors.ThrottledError as error:
        assert_type(error.retry_after, float | None)
    except errors.WriteFailedError as error:
        assert_type(error.failures, tuple[str, ...])
    except KustoCheckpointError as error:
        assert_type(error.retriable, bool)
    finally:
        await saver.aclose()


async def against_the_local_server() -> None:
    async with LocalKusto() as local, AsyncKustoSaver(local.url, local.database) as saver:
        await saver.setup(create=True)
    with LocalKusto("kusto.db", seed=1) as local:
        assert_type(local.url, str)

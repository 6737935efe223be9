"""The quick start, async: a graph that remembers, in Kusto.

    export KUSTO_CLUSTER_URI=https://mycluster.westeurope.kusto.windows.net KUSTO_DATABASE=agents
    python examples/basic_async.py --create
    python examples/basic_async.py

`--create` makes the tables, once; it needs Database Admin. Run again, the thread goes on.
"""

import asyncio
import os
import sys

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph

from langgraph.checkpoint.kusto import AsyncKustoSaver


def reply(state: MessagesState) -> MessagesState:
    """Answer; a model would stand here."""
    return {"messages": [AIMessage(f"I have {len(state['messages'])} message(s) now.")]}


async def main() -> None:
    """Send one message to the thread and show all of it."""
    builder = StateGraph(MessagesState)
    builder.add_node(reply)
    builder.add_edge(START, "reply")

    async with AsyncKustoSaver.from_connection_string(
        os.environ["KUSTO_CLUSTER_URI"], os.environ["KUSTO_DATABASE"]
    ) as saver:
        await saver.setup(create="--create" in sys.argv)
        graph = builder.compile(checkpointer=saver)
        config: RunnableConfig = {"configurable": {"thread_id": "basic-async"}}
        state = await graph.ainvoke({"messages": [HumanMessage("Hello")]}, config)
        for message in state["messages"]:
            print(f"{message.type}: {message.text}")
        print(f"checkpoints: {len([item async for item in graph.aget_state_history(config)])}")


asyncio.run(main())

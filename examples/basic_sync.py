"""The quick start, sync: a graph that remembers, in Kusto.

    export KUSTO_CLUSTER_URI=https://mycluster.westeurope.kusto.windows.net KUSTO_DATABASE=agents
    python examples/basic_sync.py --create
    python examples/basic_sync.py

`--create` makes the tables, once; it needs Database Admin. Run again, the thread goes on.
"""

import os
import sys

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph

from langgraph.checkpoint.kusto import KustoSaver


def reply(state: MessagesState) -> MessagesState:
    """Answer; a model would stand here."""
    return {"messages": [AIMessage(f"I have {len(state['messages'])} message(s) now.")]}


builder = StateGraph(MessagesState)
builder.add_node(reply)
builder.add_edge(START, "reply")

with KustoSaver.from_connection_string(
    os.environ["KUSTO_CLUSTER_URI"], os.environ["KUSTO_DATABASE"]
) as saver:
    saver.setup(create="--create" in sys.argv)
    graph = builder.compile(checkpointer=saver)
    config: RunnableConfig = {"configurable": {"thread_id": "basic-sync"}}
    state = graph.invoke({"messages": [HumanMessage("Hello")]}, config)
    for message in state["messages"]:
        print(f"{message.type}: {message.text}")
    print(f"checkpoints: {len(list(graph.get_state_history(config)))}")

"""An agent for a process under `LANGGRAPH_STRICT_MSGPACK=true`; takes uri, database, thread id.

Stops to ask, is resumed by a graph compiled anew on the same saver, and says what it then has.
"""

from __future__ import annotations

import dataclasses
import json
import operator
import sys
from collections import OrderedDict
from decimal import Decimal
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.serde import _msgpack
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from langgraph.checkpoint.kusto import KustoSaver


class Account(BaseModel):
    name: str
    balance: Decimal
    history: tuple[int, ...] = ()


@dataclasses.dataclass
class Place:
    where: tuple[float, float]


class Unknown(BaseModel):
    """Named by no schema of the graph."""

    a: tuple[int, ...]


class State(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []
    trail: Annotated[list[Any], operator.add] = []
    account: Account | None = None
    place: Place | None = None
    anything: Any = None


def work(state: State) -> dict[str, Any]:
    return {
        "messages": [AIMessage("made", id="2")],
        "trail": [("work", 2**70, "\ud800")],
        "account": Account(name="a", balance=Decimal("1.10"), history=(1, 2)),
        "place": Place((1.5, -0.0)),
        "anything": [Unknown(a=(1,)), OrderedDict(a=(1,)), bytearray(b"x")],
    }


def ask(state: State) -> dict[str, Any]:
    return {"trail": [("ask", interrupt(("sure?", 2**70)))]}


def main() -> None:
    """Run, stop, go on, and print what came back."""
    uri, database, thread_id = sys.argv[1:]
    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_node("ask", ask)
    builder.add_edge(START, "work")
    builder.add_edge("work", "ask")
    config: Any = {"configurable": {"thread_id": thread_id}}
    with KustoSaver(uri, database) as saver:
        first = builder.compile(checkpointer=saver)
        stopped = first.invoke({"messages": [HumanMessage("hi", id="1")]}, config)
        second = builder.compile(checkpointer=saver)
        clone: Any = second.checkpointer
        second.invoke(Command(resume=("yes", 2**70)), config)
        values = second.get_state(config).values
        told = {
            "strict": _msgpack.STRICT_MSGPACK_ENABLED,
            "cloned": clone is not saver and clone.serde is not saver.serde,
            "serde": type(clone.serde).__name__,
            "asked": repr(stopped["__interrupt__"][0].value),
            **{name: repr(values[name]) for name in ("trail", "account", "place", "anything")},
            "messages": [type(message).__name__ for message in values["messages"]],
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

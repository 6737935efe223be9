"""The graph of the agent: nodes, tools, a subgraph, a question to a human, and a scripted model.

No command line and no saver here: `agent.py` brings both. The model is a real chat model class that
emits tool calls, but follows a script, so that the example needs no key and no network.
"""

from __future__ import annotations

import json
import operator
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

STEPS = [
    *("plan", "assistant#1", "tools#1", "assistant#2", "tools#2", "assistant#3", "tools#3"),
    *("assistant#4", "check_counts", "check_quotes", "draft", "approve", "publish"),
]
"""What a run that is approved does, in order (the two checks run at the same time)."""


class AgentState(TypedDict, total=False):
    """State of the agent."""

    path: str
    messages: Annotated[list[AnyMessage], add_messages]
    report: str
    approved: bool
    published: str


class ReviewState(TypedDict, total=False):
    """State of the subgraph; it shares `path`, `messages` and `report` with the agent."""

    path: str
    messages: Annotated[list[AnyMessage], add_messages]
    verdicts: Annotated[list[str], operator.add]
    report: str


class Effects:
    """What the nodes do to the world outside: each appends one line to a file.

    Args:
        path: The file, or None to leave no trace.
        step_delay: Seconds of work a node pretends to do, so that a kill can hit it.
    """

    def __init__(self, path: str | None = None, step_delay: float = 0.0) -> None:
        self._path = path
        self._step_delay = step_delay

    def leave(self, step: str) -> None:
        """Work, leave the step's line on disk, and work a little more."""
        time.sleep(self._step_delay * 0.7)
        if self._path is not None:
            line = json.dumps({"step": step, "process": os.getpid(), "at": time.time()})
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(file, line.encode() + b"\n")
                os.fsync(file)
            finally:
                os.close(file)
        # A kill from here until the saver has the node's result makes the node run again.
        time.sleep(self._step_delay * 0.3)


# ----------------------------------------------------------------------------------------- tools


@tool
def outline(path: str) -> str:
    """Count lines, words, characters and headings of a text file."""
    text = read_text(path)
    headings = [line for line in text.splitlines() if re.match(r"(#+|//|;+)\s+\S", line)]
    return (
        f"{len(text.splitlines())} lines, {len(text.split())} words, {len(text)} characters,"
        f" {len(headings)} headings or comment lines"
    )


@tool
def longest_line(path: str) -> str:
    """Return the longest line of a text file."""
    return max(read_text(path).splitlines(), key=len, default="")[:120]


@tool
def frequent_words(path: str) -> str:
    """Return the five most frequent words of five letters or more."""
    words = Counter(re.findall(r"[^\W\d_]{5,}", read_text(path).lower()))
    ranked = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{word} ({count})" for word, count in ranked[:5])


def read_text(path: str) -> str:
    """Read a file that should be text; what is not is replaced."""
    return Path(path).read_text(encoding="utf-8", errors="replace")


TOOLS = [outline, longest_line, frequent_words]


class ScriptedModel(BaseChatModel):
    """Calls each tool once, in order, then sums up; what a real model would decide by itself."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = next(message for message in messages if isinstance(message, HumanMessage))
        path = request.text.removeprefix("Describe the file ")
        results = [message for message in messages if isinstance(message, ToolMessage)]
        if len(results) < len(TOOLS):
            call = {"name": TOOLS[len(results)].name, "args": {"path": path}}
            answer = AIMessage("", tool_calls=[{**call, "id": f"call-{len(results) + 1}"}])
        else:
            size, longest, words = (result.text for result in results)
            answer = AIMessage(f"It has {size}.\nLongest line: {longest}\nFrequent words: {words}")
        return ChatResult(generations=[ChatGeneration(message=answer)])


# ----------------------------------------------------------------------------------------- graph


def agent_graph(
    saver: BaseCheckpointSaver[Any], effects: Effects
) -> CompiledStateGraph[AgentState, None, AgentState, AgentState]:
    """Return the agent's graph, compiled with a saver.

    Nodes are plain functions: `invoke` runs them in the caller's thread, `ainvoke` in others.
    """
    model = ScriptedModel()
    tool_node = ToolNode(TOOLS)

    def plan(state: AgentState) -> AgentState:
        effects.leave("plan")
        return {"messages": [HumanMessage(f"Describe the file {state['path']}")]}

    def assistant(state: AgentState) -> AgentState:
        answer = model.invoke(state["messages"])
        effects.leave(f"assistant#{count(state, AIMessage) + 1}")
        return {"messages": [answer]}

    def tools(state: AgentState, config: RunnableConfig) -> Any:
        results = tool_node.invoke(state, config)
        effects.leave(f"tools#{count(state, ToolMessage) + 1}")
        return results

    def approve(state: AgentState, config: RunnableConfig) -> AgentState:
        # The run ends here until a human answers; then the node starts again and gets the answer.
        # Since Python 3.11 `interrupt(...)` alone does; before, `astream` loses the node's context.
        question = {"question": "Publish this report?", "report": state["report"]}
        with set_config_context(config) as context:
            answer = context.run(interrupt, question)
        effects.leave("approve")
        return {"approved": answer == "yes"}

    def publish(state: AgentState) -> AgentState:
        effects.leave("publish")
        return {"published": state["report"]}

    def discard(state: AgentState) -> AgentState:
        effects.leave("discard")
        return {"published": ""}

    def verdict(state: AgentState) -> Literal["publish", "discard"]:
        return "publish" if state["approved"] else "discard"

    graph = StateGraph(AgentState)
    graph.add_node(plan)
    graph.add_node(assistant)
    graph.add_node(tools)
    graph.add_node("review", review_graph(effects))
    graph.add_node(approve)
    graph.add_node(publish)
    graph.add_node(discard)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "assistant")
    graph.add_conditional_edges("assistant", tools_condition, {"tools": "tools", END: "review"})
    graph.add_edge("tools", "assistant")
    graph.add_edge("review", "approve")
    graph.add_conditional_edges("approve", verdict)
    return graph.compile(checkpointer=saver)


def review_graph(
    effects: Effects,
) -> CompiledStateGraph[ReviewState, None, ReviewState, ReviewState]:
    """Return the subgraph that checks the model's claims, two at a time, and writes the report.

    It has no saver of its own: LangGraph keeps its steps with the agent's, in a namespace.
    """

    def check_counts(state: ReviewState) -> ReviewState:
        lines = len(read_text(state["path"]).splitlines())
        agrees = f"has {lines} lines" in state["messages"][-1].text
        effects.leave("check_counts")
        return {"verdicts": [f"line count {'confirmed' if agrees else 'WRONG'}"]}

    def check_quotes(state: ReviewState) -> ReviewState:
        quoted = state["messages"][-1].text.splitlines()[1].removeprefix("Longest line: ")
        effects.leave("check_quotes")
        return {"verdicts": [f"quote {'found' if quoted in read_text(state['path']) else 'WRONG'}"]}

    def draft(state: ReviewState) -> ReviewState:
        effects.leave("draft")
        verdicts = "; ".join(sorted(state["verdicts"]))
        name = Path(state["path"]).name
        return {"report": f"{name}\n{state['messages'][-1].text}\nChecked: {verdicts}."}

    graph = StateGraph(ReviewState)
    graph.add_node(check_counts)
    graph.add_node(check_quotes)
    graph.add_node(draft)
    graph.add_edge(START, "check_counts")
    graph.add_edge(START, "check_quotes")
    graph.add_edge(["check_counts", "check_quotes"], "draft")
    return graph.compile()


def count(state: AgentState, kind: type[BaseMessage]) -> int:
    """Count the messages of one kind so far."""
    return sum(isinstance(message, kind) for message in state["messages"])

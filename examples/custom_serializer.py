"""Another serializer: values are encrypted before they leave the process.

    export KUSTO_CLUSTER_URI=https://mycluster.westeurope.kusto.windows.net KUSTO_DATABASE=agents
    export LANGGRAPH_AES_KEY=...                # 16, 24 or 32 characters
    pip install pycryptodome
    python examples/custom_serializer.py --create

Any `SerializerProtocol` goes in the same place: `serde=` of a saver. Ids, step numbers and metadata
stay readable, because KQL users and the saver itself look for them: keep secrets in the state.
"""

from __future__ import annotations

import os
import re
import sys
from base64 import b64decode
from typing import TypedDict
from uuid import uuid4

from azure.identity import DefaultAzureCredential
from azure.kusto.data import ClientRequestProperties, KustoClient, KustoConnectionStringBuilder
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph

from langgraph.checkpoint.kusto import KustoSaver

URI, DATABASE = os.environ["KUSTO_CLUSTER_URI"], os.environ["KUSTO_DATABASE"]
SECRET = "the account number is 4711"
CELLS = (
    "Checkpoints | where thread_id == thread | project cell = strcat(checkpoint_data, inline_data)",
    "CheckpointWrites | where thread_id == thread | project cell = data",
)


class State(TypedDict, total=False):
    """One secret, and what was made of it."""

    secret: str
    answer: str


def respond(state: State) -> State:
    """Repeat the secret."""
    return {"answer": f"I know that {state['secret']}."}


def run(thread: str, serde: SerializerProtocol) -> State:
    """Keep a secret in a thread; return what a new saver reads back."""
    builder = StateGraph(State)
    builder.add_node(respond)
    builder.add_edge(START, "respond")
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    with KustoSaver.from_connection_string(URI, DATABASE, serde=serde) as saver:
        saver.setup(create="--create" in sys.argv)
        builder.compile(checkpointer=saver).invoke({"secret": SECRET}, config)
    with KustoSaver.from_connection_string(URI, DATABASE, serde=serde) as saver:
        values = builder.compile(checkpointer=saver).get_state(config).values
    return State(secret=values["secret"], answer=values["answer"])


def stored_cells(thread: str) -> list[str]:
    """Ask Kusto for what is stored, as anybody with Database Viewer can."""
    builder = KustoConnectionStringBuilder(URI)
    if URI.startswith("https://"):
        builder = KustoConnectionStringBuilder.with_azure_token_credential(
            URI, DefaultAzureCredential()
        )
    properties = ClientRequestProperties()  # type: ignore[no-untyped-call]
    properties.set_parameter("thread", thread)
    cells: list[str] = []
    with KustoClient(builder) as client:
        for query in CELLS:
            text = f"declare query_parameters(thread:string); {query}"
            answer = client.execute(DATABASE, text, properties)
            cells += [row["cell"] for row in answer.primary_results[0]]
    return cells


def reads_secret(cell: str) -> bool:
    """Look for the secret in a cell, and in the base64 in it."""
    parts = [
        b64decode(part)
        for part in re.findall(r"[A-Za-z0-9+/]{8,}={0,2}", cell)
        if len(part) % 4 == 0
    ]
    return any(SECRET.encode() in part for part in [cell.encode(), *parts])


def main() -> None:
    """Keep the same secret twice, with and without encryption, and look at what Kusto has."""
    for name, serde in (
        ("JsonPlusSerializer (default)", JsonPlusSerializer()),
        ("EncryptedSerializer (AES)", EncryptedSerializer.from_pycryptodome_aes()),
    ):
        thread = f"serializer-{uuid4()}"
        state = run(thread, serde)
        assert state["answer"] == f"I know that {SECRET}."
        cells = stored_cells(thread)
        seen = sum(map(reads_secret, cells))
        print(f"{name}: read back exactly; the secret is readable in {seen} of {len(cells)} cells")


main()

"""`python -m langgraph.checkpoint.kusto.local` as a process: signals, SIGKILL, wrong arguments."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.kusto.data import KustoClient as SyncKustoClient
from azure.kusto.data.exceptions import KustoNetworkError

pytestmark = pytest.mark.local_only


class ServerProcess:
    """The command line server as a process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "langgraph.checkpoint.kusto.local", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def endpoint(self) -> tuple[str, str]:
        """Return URL and database as the server prints them."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().strip() for _ in range(2)]
        found = dict(line.split("=", 1) for line in lines)
        return found["KUSTO_CLUSTER_URI"], found["KUSTO_DATABASE"]

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and standard error."""
        _, text = self.process.communicate(timeout=30)
        return self.process.returncode, text


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[ServerProcess] = []

    def start(*arguments: str) -> ServerProcess:
        started.append(ServerProcess(*arguments))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_server_stops_cleanly(start: Any, number: int) -> None:
    server = start("--database", "Cli")
    url, database = server.endpoint()
    assert database == "Cli"
    with SyncKustoClient(url) as sdk:
        assert len(sdk.execute_mgmt(database, ".show databases").primary_results[0]) == 1
    server.process.send_signal(number)
    assert server.end() == (0, "")


def test_acknowledged_rows_survive_kill_9(start: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "kusto.db")
    server = start("--path", path)
    url, database = server.endpoint()
    acknowledged: list[int] = []
    with SyncKustoClient(url) as sdk:
        sdk.execute_mgmt(database, ".create table T (n:long)")
        sdk.execute_mgmt(database, ".alter table T policy streamingingestion enable")
        with pytest.raises(KustoNetworkError):
            for number in range(100_000):
                body = io.BytesIO(gzip.compress(json.dumps({"n": number}).encode()))
                sdk.execute_streaming_ingest(database, "T", body, None, "multijson")
                acknowledged.append(number)
                if number == 40:
                    os.kill(server.process.pid, signal.SIGKILL)
    assert len(acknowledged) > 40
    server = start("--path", path)
    url, database = server.endpoint()
    with SyncKustoClient(url) as sdk:
        rows = sdk.execute_query(database, "T").primary_results[0]
        assert set(acknowledged) <= {row["n"] for row in rows}


def test_the_command_line_names_what_is_wrong(start: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "kusto.db")
    first = start("--path", path)
    port = first.endpoint()[0].rsplit(":", 1)[1]
    code, text = start("--path", path).end()
    assert code == 1
    assert "in use by another local Kusto server" in text
    code, text = start("--port", port).end()
    assert code == 1
    assert f"port {port} of 127.0.0.1 is in use" in text
    code, text = start("--host", "0.0.0.0").end()
    assert code == 1
    assert "--allow-remote" in text


def test_listening_for_others_needs_to_be_said_and_warns(start: Any) -> None:
    server = start("--host", "0.0.0.0", "--allow-remote")
    server.endpoint()
    server.process.send_signal(signal.SIGTERM)
    code, text = server.end()
    assert code == 0
    assert "there is no authentication" in text


def test_a_missing_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import langgraph.checkpoint.kusto.local as local\n"
        "local.LocalKusto"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 1
    assert 'pip install "langgraph-checkpoint-kusto[local]"' in found.stderr

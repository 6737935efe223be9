"""`python -m langgraph.checkpoint.kusto.local`: each flag has its effect, or is refused.

The servers are processes, started together because starting one takes half a second.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local import __main__ as command_line

TOKEN = "a token"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
ROWS = 40
CLEAR = ".clear database cache streamingingestion schema"

SERVERS: dict[str, list[str]] = {
    "plain": [],
    "place": ["--host", "127.0.0.1", "--database", "My Db", "--seed", "7", "--schema-cache"],
    "troubled": ["--seed", "1", "--turbulence"],
    "late": ["--seed", "1", "--visibility", "3600"],
    "faulty": [
        *("--fault", "status:429,endpoint=ingest,table=Throttled,retry_after=7"),
        *("--fault", "status:504,endpoint=query,times=2"),
    ],
    "strict": ["--no-streaming", "--token", TOKEN, "--role", "viewer", "--role", "monitor"],
}


class Server:
    """A server process, spoken to with nothing but HTTP."""

    def __init__(self, options: list[str]) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KUSTO_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "langgraph.checkpoint.kusto.local", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=kept | {"PYTHONUNBUFFERED": "1"},
        )
        self.url = self.database = ""

    def wait(self) -> None:
        """Read the two lines that it prints when it listens."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().rstrip("\n") for _ in range(2)]
        found = dict(line.split("=", 1) for line in lines)
        self.url, self.database = found["KUSTO_CLUSTER_URI"], found["KUSTO_DATABASE"]

    def end(self) -> tuple[int, str]:
        """Wait for the end; give exit code and standard error."""
        _, text = self.process.communicate(timeout=60)
        return self.process.returncode, text

    def send(self, path: str, body: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Post a body; give the status and the answer."""
        request = urllib.request.Request(
            self.url + path, body.encode(), {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def command(self, text: str, **headers: str) -> int:
        body = json.dumps({"db": self.database, "csl": text})
        return self.send("/v1/rest/mgmt", body, headers)[0]

    def rows(self, text: str, **headers: str) -> list[list[Any]]:
        """Run a query that must succeed."""
        body = json.dumps({"db": self.database, "csl": text})
        status, frames = self.send("/v2/rest/query", body, headers)
        assert status == 200, frames
        (table,) = (frame for frame in frames if frame.get("TableKind") == "PrimaryResult")
        rows: list[list[Any]] = table["Rows"]
        return rows

    def ingest(self, table: str, *rows: Mapping[str, Any], **headers: str) -> int:
        """Send rows by streaming ingestion; give the status."""
        database = urllib.parse.quote(self.database)
        path = f"/v1/rest/ingest/{database}/{table}?streamFormat=multijson"
        return self.send(path, "\n".join(map(json.dumps, rows)), headers)[0]

    def make_table(self, name: str = "T") -> None:
        assert self.command(f".create table {name} (n:long)") == 200
        assert self.command(f".alter table {name} policy streamingingestion enable") == 200
        assert self.command(CLEAR) == 200


def numbers(count: int = ROWS) -> list[dict[str, int]]:
    return [{"n": number} for number in range(count)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    file = tmp_path_factory.mktemp("command line") / "kusto.db"
    more = {"place": ["--port", port, "--path", str(file)]}
    started = {name: Server([*SERVERS[name], *more.get(name, [])]) for name in SERVERS}
    try:
        for server in started.values():
            server.wait()
        yield started
        for server in started.values():
            server.process.terminate()
        assert [server.end() for server in started.values()] == [(0, "")] * len(started)
    finally:
        for server in started.values():
            server.process.kill()
            server.process.wait()


def test_without_flags(servers: dict[str, Server]) -> None:
    """Any free port, admin, streaming on, no seed: rows come in the order they were written in."""
    plain = servers["plain"]
    assert plain.url.startswith("http://127.0.0.1:")
    assert plain.database == "NetDefaultDB"
    plain.make_table()
    assert plain.ingest("T", *numbers()) == 200
    assert plain.rows("T") == [[number] for number in range(ROWS)]
    assert len({server.url for server in servers.values()}) == len(servers)


def test_path_port_host_and_database(servers: dict[str, Server]) -> None:
    place = servers["place"]
    options = place.process.args
    assert isinstance(options, list)
    assert place.url == f"http://127.0.0.1:{options[options.index('--port') + 1]}"
    assert place.database == "My Db"
    file = Path(options[options.index("--path") + 1])
    place.make_table("OnDisk")
    assert b"OnDisk" in file.read_bytes() + file.with_name(file.name + "-wal").read_bytes()


def test_seed(servers: dict[str, Server]) -> None:
    place = servers["place"]
    place.make_table()
    assert place.ingest("T", *numbers()) == 200
    orders = [place.rows("T") for _ in range(3)]
    for order in orders:
        assert sorted(order) == [[number] for number in range(ROWS)]
    assert any(order != sorted(order) for order in orders)


def test_turbulence(servers: dict[str, Server]) -> None:
    """One ingest in ten answers 503, or its answer is lost."""
    troubled = servers["troubled"]
    troubled.make_table()
    outcomes: list[int] = []
    while not {200, 503} <= set(outcomes):
        try:
            outcomes.append(troubled.ingest("T", *numbers(3)))
        except OSError:  # the answer was lost
            outcomes.append(0)
    assert set(outcomes) <= {0, 200, 503}


def test_visibility(servers: dict[str, Server]) -> None:
    """For up to an hour: of six tables with rows, at least one shows none of them yet."""
    late = servers["late"]
    shown = []
    for name in "ABCDEF":
        late.make_table(name)
        assert late.ingest(name, *numbers(5)) == 200
        shown.append(late.rows(f"{name} | count")[0][0])
    assert 0 in shown
    assert set(shown) <= {0, 5}


def test_fault(servers: dict[str, Server]) -> None:
    """For ever, or as often as it says; only for the requests that are meant."""
    faulty = servers["faulty"]
    faulty.make_table("Throttled")
    faulty.make_table("T")
    assert [faulty.ingest("Throttled", {"n": 1}) for _ in range(3)] == [429, 429, 429]
    assert faulty.ingest("T", {"n": 1}) == 200
    body = json.dumps({"db": faulty.database, "csl": "T"})
    statuses = [faulty.send("/v2/rest/query", body, {})[0] for _ in range(3)]
    assert statuses == [504, 504, 200]
    request = urllib.request.Request(
        f"{faulty.url}/v1/rest/ingest/{faulty.database}/Throttled?streamFormat=json", b"{}"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    with refused.value as answer:
        assert answer.headers["Retry-After"] == "7"


def test_help_says_what_a_fault_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--help"])
    assert ended.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "--fault SPEC trouble on demand, repeatable: ACTION[:VALUE][,NAME=VALUE]..." in printed
    assert "status, latency, stall, reset, cut, prefix, duplicate, partial, script" in printed


def test_token(servers: dict[str, Server]) -> None:
    strict = servers["strict"]
    assert strict.command(".show tables") == 401
    assert strict.command(".show tables", Authorization="Bearer another") == 401
    assert strict.command(".show tables", **RIGHT) == 200


def test_no_streaming(servers: dict[str, Server]) -> None:
    """As on a cluster with streaming off there is no such endpoint."""
    assert servers["strict"].ingest("T", {"n": 1}, **RIGHT) == 404
    assert servers["plain"].ingest("NoTable", {"n": 1}) == 400


def test_schema_cache(servers: dict[str, Server]) -> None:
    """Ingestion knows a new column only when the cache is cleared; without the flag, at once."""
    for name, expected in (("place", [None, 2]), ("plain", [2, 2])):
        server = servers[name]
        server.make_table("Cached")
        assert server.ingest("Cached", {"n": 0}) == 200
        assert server.command(".alter-merge table Cached (b:long)") == 200
        assert server.ingest("Cached", {"n": 1, "b": 2}) == 200
        assert server.command(CLEAR) == 200
        assert server.ingest("Cached", {"n": 2, "b": 2}) == 200
        assert server.rows("Cached | where n > 0 | order by n asc | project b") == [
            [value] for value in expected
        ]


def test_role(servers: dict[str, Server]) -> None:
    strict = servers["strict"]
    assert strict.rows("print x = 1", **RIGHT) == [[1]]
    assert strict.command(".create table Mine (n:long)", **RIGHT) == 403
    assert servers["plain"].command(".create table Mine (n:long)") == 200


REFUSED: list[tuple[list[str], str]] = [
    (["--port", "x"], "argument --port: 'x' is no port; use 1 to 65535, or 0 for any"),
    (["--port", "99999"], "argument --port: '99999' is no port; use 1 to 65535, or 0 for any"),
    (["--port", "-1"], "argument --port: '-1' is no port; use 1 to 65535, or 0 for any"),
    (["--seed", "1.5"], "argument --seed: invalid int value: '1.5'"),
    (["--visibility", "soon"], "argument --visibility: 'soon' is no number of seconds from 0"),
    (["--visibility", "inf"], "argument --visibility: 'inf' is no number of seconds from 0"),
    (["--visibility", "nan"], "argument --visibility: 'nan' is no number of seconds from 0"),
    (["--visibility", "-1"], "argument --visibility: '-1' is no number of seconds from 0"),
    (["--queue-delay", "soon"], "argument --queue-delay: 'soon' is no number of seconds from 0"),
    (["--azurite"], "argument --azurite: expected one argument"),
    (["--role", "king"], "argument --role: invalid choice: 'king' (choose from "),
    (["--path"], "argument --path: expected one argument"),
    (["--database"], "argument --database: expected one argument"),
    (["--host"], "argument --host: expected one argument"),
    (["--token"], "argument --token: expected one argument"),
    (["--turbulence=yes"], "argument --turbulence: ignored explicit argument 'yes'"),
    (["--no-streaming=1"], "argument --no-streaming: ignored explicit argument '1'"),
    (["--schema-cache=1"], "argument --schema-cache: ignored explicit argument '1'"),
    (["--allow-remote=1"], "argument --allow-remote: ignored explicit argument '1'"),
    (["--fault"], "argument --fault: expected one argument"),
    (["--fault", "explode"], "argument --fault: a fault is one of status, latency, stall, reset,"),
    (
        ["--fault", "stall", "--fault", "status:503,chance=1"],
        "argument --fault: 'chance=1' is no setting of status; it takes status, when, permanent,",
    ),
    (["--retention", "1"], "unrecognized arguments: --retention 1"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_an_option(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(options)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: python -m langgraph.checkpoint.kusto.local ")
    assert f"error: {message}" in printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--turbulence"], "turbulence and visibility are decided by a seed; give one"),
        (["--visibility", "1"], "turbulence and visibility are decided by a seed; give one"),
        (["--database", " "], "the database needs a name"),
        (["--path", "/no such folder/kusto.db"], "name a file in a folder that exists"),
        (["--azurite", "http://127.0.0.1"], "is no URL of Azurite's blob service, such as http://"),
        (["--host", "0.0.0.0"], "or say allow_remote=True (--allow-remote)"),
    ],
)
def test_options_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert command_line.main(options) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert message in printed.err


def test_a_refusal_is_the_exit_code_of_the_process() -> None:
    asked = [sys.executable, "-m", "langgraph.checkpoint.kusto.local", "--port", "99999"]
    done = subprocess.run(asked, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "'99999' is no port" in done.stderr
    assert done.stdout == ""


def test_every_flag_is_tried() -> None:
    """A new flag belongs in a test above."""
    flags = {
        option
        for action in command_line._parser()._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }
    started = {word for options in SERVERS.values() for word in options} | {"--port", "--path"}
    refused = {options[0].split("=")[0] for options, _ in REFUSED} - {"--retention"}
    # A server that others can reach is started in `test_local_server.py`, one with a queue in
    # `tests/queued`.
    elsewhere = {"--allow-remote", "--azurite", "--queue-delay"}
    assert flags == {word for word in started if word.startswith("--")} | elsewhere
    assert flags == refused

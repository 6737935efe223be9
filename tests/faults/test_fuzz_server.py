"""Input attacks on the local server: requests of nonsense, one by one.

After each of them the server still answers a right query. It never answers 200 to nonsense, and
never with a failure of its own: no 5xx, no traceback, nothing logged as unexpected.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from shared.attacked import INGEST, Attacked, attacked_server, query

pytestmark = pytest.mark.local_only

RECORD = b'{"a": "x"}'
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture(scope="module")
def module_server() -> Iterator[Attacked]:
    with attacked_server() as attacked:
        yield attacked


@pytest.fixture
def server(module_server: Attacked) -> Attacked:
    module_server.records.clear()
    return module_server


# ---------------------------------------------------------------------------------- named attacks

DEEP = 100_000
BODIES: dict[str, bytes] = {
    "empty": b"",
    "not json": b"{",
    "not an object": b"[]",
    "no csl": b"{}",
    "csl is a number": b'{"csl": 5}',
    "csl is null": b'{"csl": null}',
    "db is a number": b'{"db": 5, "csl": "print 1"}',
    "db is empty of sense": json.dumps({"db": "\x00\ud800", "csl": "print 1"}).encode(),
    "properties are text": query("print 1", properties="nonsense"),
    "properties are a list": query("print 1", properties=[1]),
    "options are a list": query("print 1", properties={"Options": [1]}),
    "parameters are text": query("print 1", properties={"Parameters": "x"}),
    "a timeout of nonsense": query("print 1", properties={"Options": {"servertimeout": "x"}}),
    "a timeout that is an object": query("print 1", properties={"Options": {"servertimeout": {}}}),
    "not utf-8": b'{"csl": "print \xff"}',
    "utf-16": '{"csl": "print 1"}'.encode("utf-16"),
    "a nul": query("print \x00"),
    "a lone surrogate": b'{"csl": "print \\ud800"}',
    "deep json": b"[" * DEEP,
    "deep json that closes": b'{"csl":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep brackets": query("print " + "(" * 5_000 + "1" + ")" * 5_000 + " | nonsense"),
    "deep brackets that do not close": query("print " + "(" * 5_000),
    "deep lists": query("print dynamic(" + "[" * 5_000 + "]" * 5_000 + ")"),
    "deep functions": query("print " + "strlen(" * 2_000 + "1" + ")" * 2_000),
    "a long chain": query("print x = 1" + " | where x == 1" * 3_000 + " | nonsense"),
    "long sums": query("print y = " + "+".join(["1"] * 20_000) + " | nonsense"),
    "long ors": query("print x = 1 | where " + " or ".join(["x == 2"] * 5_000) + " | nonsense"),
    "a huge number": query("print " + "9" * 100_000),
    "a huge number in a list": query("print dynamic([" + "9" * 5_000 + "])"),
    "a huge number of days": query("print bin(now(), 0d + " + "9" * 5_000 + "d) | nonsense"),
    "a huge number as text": query("print tolong('" + "9" * 5_000 + "') | nonsense"),
    "a huge timespan as text": query("print totimespan('" + "9" * 5_000 + "') | nonsense"),
    "a huge exponent": query("print 1e" + "9" * 5_000 + " | nonsense"),
    "a huge take": query("T | take " + "9" * 5_000),
    "a huge name": query("print " + "x" * 100_000 + " = 1 | nonsense"),
    "a huge string": query("print '" + "x" * 2_000_000),
    "many statements": query(";".join(["let a = 1"] * 2_000)),
    "a recursive let": query("let f = () { f() }; f()"),
    "a bad regex": query("print 'a' matches regex '('"),
    "a slow regex": query(r"print '" + "a" * 30 + r"!' matches regex '(a+)+$' | nonsense"),
    "a bad timespan": query("print 1 | where bin(5, 0s) == 1"),
    "an overflow": query("print datetime(9999-12-31) + 1000000d * 1000000 | nonsense"),
    "a bad date": query("print datetime(2026-02-31) | nonsense"),
    "management on the query endpoint": query(".show tables"),
}


@pytest.mark.parametrize("path", ["/v1/rest/query", "/v2/rest/query", "/v1/rest/mgmt"])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_queries_and_commands(server: Attacked, path: str, name: str) -> None:
    if path.endswith("mgmt") and name.startswith("management"):
        path = "/v2/rest/query"
    server.check(server.send(path, BODIES[name]))


COMMAND_TEXTS = (
    ".",
    "..",
    ".show",
    ".create table",
    ".create table X (",
    ".create table X (a:nothing)",
    ".create table X (a:string, a:string)",
    ".create table ['" + "x" * 2_000 + "'] (a:string)",
    ".create table X (" + ",".join(f"c{n}:string" for n in range(20_000)) + " nonsense",
    ".drop table Nowhere",
    ".alter table T policy retention 'x'",
    ".alter table T policy retention '" + "[" * 5_000 + "'",
    '.create table T ingestion json mapping "Q" \'[{"column":5}]\'',
    '.create table T ingestion json mapping "Q" \'' + "[" * 20_000 + "'",
    ".create materialized-view W on table T { " + "(" * 3_000 + " }",
    ".create function G() { " + "{" * 3_000,
    ".create function G(x:string=" + "(" * 3_000 + ") { T }",
    ".ingest inline into table T with (format='multijson') <| {\"a\":",
    ".ingest inline into table T with (format='avro') <| x",
    ".set-or-append T <| print",
    ".set-or-append T <| T | nonsense",
    ".delete table T records <| T | take 1",
    ".execute database script with (ContinueOnErrors=true, ThrowOnErrors=true) <| .x",
    ".execute database script <| nonsense",
    ".execute database script <|\n" + "x" * 100,
    ".show tables | where",
    ".show tables | " + "(" * 3_000,
    ".add database Db viewers ('",
    "// only a comment",
    "\u2028.show tables nonsense",
)


@pytest.mark.parametrize("text", COMMAND_TEXTS, ids=lambda text: str(text)[:30])
def test_commands(server: Attacked, text: str) -> None:
    server.check(server.send("/v1/rest/mgmt", query(text)))
    status, body = server.send("/v1/rest/mgmt", query(".show tables"))
    assert status == 200
    assert [row[0] for row in json.loads(body)["Tables"][0]["Rows"]] == ["T"]


INGESTS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "empty": (INGEST, b"", {}),
    "blank": (INGEST, b" \n", {}),
    "cut": (INGEST, b'{"a": "x', {}),
    "a number": (INGEST, b"5", {}),
    "deep": (INGEST, b"[" * DEEP, {}),
    "deep in a record": (INGEST, b'{"d":' + b"[" * DEEP + b"]" * DEEP + b"}", {}),
    "nan": (INGEST, b'{"b": NaN}', {}),
    "not gzip": (INGEST, RECORD, GZIP),
    "empty gzip": (INGEST, b"", GZIP),
    "cut gzip": (INGEST, gzip.compress(RECORD * 100)[:-9], GZIP),
    "gzip of nothing": (INGEST, gzip.compress(b""), GZIP),
    "a bomb": (INGEST, gzip.compress(b" " * 200_000_000, 9), GZIP),
    "twice packed": (INGEST, gzip.compress(gzip.compress(RECORD)), GZIP),
    "another encoding": (INGEST, RECORD, {"Content-Encoding": "br"}),
    "too many bytes": (INGEST, RECORD * 450_000, {}),
    "no format": ("/v1/rest/ingest/Db/T", RECORD, {}),
    "an empty format": ("/v1/rest/ingest/Db/T?streamFormat=", RECORD, {}),
    "another format": ("/v1/rest/ingest/Db/T?streamFormat=avro", RECORD, {}),
    "no such format": ("/v1/rest/ingest/Db/T?streamFormat=%00", RECORD, {}),
    "no such mapping": (INGEST + "&mappingName=N", RECORD, {}),
    "no such table": ("/v1/rest/ingest/Db/U?streamFormat=json", RECORD, {}),
    "no such database": ("/v1/rest/ingest/E/T?streamFormat=json", RECORD, {}),
    "a step up": ("/v1/rest/ingest/Db/..%2F..%2Fmgmt?streamFormat=json", RECORD, {}),
    "a table of nothing": ("/v1/rest/ingest/Db/?streamFormat=json", RECORD, {}),
    "a nul": ("/v1/rest/ingest/Db/T%00?streamFormat=json", RECORD, {}),
    "not utf-8": ("/v1/rest/ingest/Db/%ff%fe?streamFormat=json", RECORD, {}),
    "a quote": ("/v1/rest/ingest/Db/T%22;DROP?streamFormat=json", RECORD, {}),
    "a blob": (INGEST + "&sourceKind=uri", b'{"sourceUri": "file:///etc/passwd"}', {}),
    "json without records": ("/v1/rest/ingest/Db/T?streamFormat=json", b"nonsense\n[1]", {}),
    "a cut csv": ("/v1/rest/ingest/Db/T?streamFormat=csv", b'"x', {}),
    "a csv of nul": ("/v1/rest/ingest/Db/T?streamFormat=csv", b'"x"y\x00', {}),
}


@pytest.mark.parametrize("name", INGESTS)
def test_ingests(server: Attacked, name: str) -> None:
    path, body, headers = INGESTS[name]
    before = server.rows()
    server.check(server.send(path, body, headers))
    assert server.rows() == before


RIGHT = query("print x = 1")
RAW: dict[str, bytes] = {
    "nothing": b"",
    "noise": bytes(range(256)) * 4,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
    "no version": b"GET /\r\n\r\n",
    "another version": b"POST /v2/rest/query HTTP/9.9\r\n\r\n",
    "no line end": b"POST /v2/rest/query HTTP/1.1",
    "a header without a colon": b"POST /v2/rest/query HTTP/1.1\r\nHost x\r\n\r\n",
    "a header with a nul": b"POST /v2/rest/query HTTP/1.1\r\nA: \x00\r\n\r\n",
    "huge headers": b"POST /v2/rest/query HTTP/1.1\r\nA: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "many headers": b"POST / HTTP/1.1\r\n" + b"A: x\r\n" * 100_000 + b"\r\n",
    "a huge path": b"POST /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    "a negative length": b"POST /v2/rest/query HTTP/1.1\r\nContent-Length: -1\r\n\r\n" + RIGHT,
    "a length of nonsense": b"POST /v2/rest/query HTTP/1.1\r\nContent-Length: x\r\n\r\n" + RIGHT,
    "two lengths": (
        b"POST /v2/rest/query HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    ),
    "too long a length": b"POST /v2/rest/query HTTP/1.1\r\nContent-Length: 9999\r\n\r\n" + RIGHT,
    "too short a length": b"POST /v2/rest/query HTTP/1.1\r\nContent-Length: 5\r\n\r\n" + RIGHT,
    "bad chunks": b"POST /v2/rest/query HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx\r\n",
    "cut chunks": b"POST /v2/rest/query HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "both lengths": (
        b"POST /v2/rest/query HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_request(server: Attacked, name: str) -> None:
    answer = server.raw(RAW[name])
    assert b"Traceback" not in answer
    for line in answer.split(b"\r\n"):
        assert not line.startswith((b"HTTP/1.1 200", b"HTTP/1.1 5")), answer[:300]
    server.records.clear()  # aiohttp tells its log of what it refuses
    server.check((400, b""))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize(
    "path", ["/v2/rest/query", "/v1/rest/mgmt", INGEST, "/v1/rest/auth/metadata"]
)
def test_wrong_methods(server: Attacked, path: str, method: str) -> None:
    if (method, path) == ("HEAD", "/v1/rest/auth/metadata"):
        method = "LINK"  # HEAD is right there
    server.check(server.send(path, RECORD, method=method))


@pytest.mark.parametrize(
    "path",
    [
        "/v2/rest/query/",
        "/v3/rest/query",
        "//v2/rest/query",
        "/v2/rest/../rest/nothing",
        "/v2/rest/query%00",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/rest/ingest",
        "/v1/rest/ingest/Db",
        "/v1/rest/ingest/Db/T/U?streamFormat=json",
        "/" + "a/" * 5_000,
        "/%ff%fe",
    ],
    ids=lambda path: path[:30],
)
def test_paths_that_are_none(server: Attacked, path: str) -> None:
    found = server.send(path, RIGHT)
    server.records[:] = [record for record in server.records if record.name != "aiohttp.server"]
    server.check(found)


def test_headers_of_nonsense(server: Attacked) -> None:
    for headers in (
        {"x-ms-client-request-id": "x" * 5_000},
        {"x-ms-client-request-id": "\xff\xfe"},
        {"Content-Type": "\xff"},
        {"Accept": "nothing/at-all"},
        {"Authorization": "Bearer \xff"},
        {"Content-Type": "application/json; charset=nonsense"},
    ):
        server.check(server.send("/v2/rest/query", RIGHT, headers), nonsense=False)

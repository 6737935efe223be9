"""Input attacks on the local server: mutated and random requests, by a fixed seed.

After each of them the server still answers a right query. It never answers 200 to nonsense, and
never with a failure of its own: no 5xx, no traceback, nothing logged as unexpected.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from shared.attacked import COMMANDS, INGEST, Attacked, attacked_server, query
from shared.local_client import Client

from langgraph.checkpoint.kusto.local import LocalKusto

pytestmark = pytest.mark.local_only

RECORD = b'{"a": "x"}'
GZIP = {"Content-Encoding": "gzip"}
PROFILE = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def module_server() -> Iterator[Attacked]:
    with attacked_server() as attacked:
        yield attacked


@pytest.fixture
def server(module_server: Attacked) -> Attacked:
    module_server.records.clear()
    return module_server


TEXTS = (
    "T | where a == 'x' and b > 5 | summarize n = count() by a | order by n desc | take 3",
    "let x = materialize(T | where a in ('a', 'b')); x | count; x | project a, d.y[0]",
    "declare query_parameters(p:string, n:long=5); T | where a == p | extend c = strcat(a, 'z')",
    "T | mv-expand d | summarize arg_max(b, *) by a | join kind=inner (V) on a",
    "print datetime(2026-01-02) + 1d, dynamic({'a': [1, 2]}), 1.5e3, guid(null)",
)
COMMAND_SEEDS = (
    ".create-merge table T2 (a:string, b:long) with (folder='f')",
    ".alter-merge table T policy retention softdelete = 10d recoverability = disabled",
    ".create-or-alter function G(x:string) { T | where a == x }",
    ".create-or-alter table T ingestion json mapping 'N' "
    '\'[{"column":"a","Properties":{"Path":"$.a"}}]\'',
    ".show table T schema as json",
    ".ingest inline into table T3 with (format='csv') <| x,1",
)
PIECES = st.sampled_from(
    ["(", ")", "[", "{", "'", '"', "|", ";", "\\", "\x00", "\ud800", "//", "`" * 3, "@", "<|", "..",
     "=~", "!", "let ", " by ", "dynamic(", "1e999", "-", "\u202e", "é", "\n.", "*", ",", "null"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[str, ...]) -> str:
    """A text with a few pieces cut out, doubled, or put in."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        middle = draw(
            st.one_of(st.just(""), PIECES, st.just(text[start:end] * 2), st.text(max_size=5))
        )
        text = text[:start] + middle + text[end:]
    return text


def sent(text: str) -> bytes:
    return json.dumps({"db": "Db", "csl": text}).encode()


@seed(1)
@PROFILE
@given(mutated(TEXTS))
def test_mutated_queries(server: Attacked, text: str) -> None:
    """Some are right still; then the answer is whole."""
    found = server.send("/v2/rest/query", sent(text))
    server.check(found, nonsense=False)
    if found[0] == 200:
        frames = json.loads(found[1])
        assert frames[-1]["FrameType"] == "DataSetCompletion"


@seed(2)
@PROFILE
@given(mutated(COMMAND_SEEDS))
def test_mutated_commands(server: Attacked, text: str) -> None:
    found = server.send("/v1/rest/mgmt", sent(text))
    server.check(found, nonsense=False)
    if found[0] == 200:
        assert json.loads(found[1])["Tables"]


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@seed(3)
@PROFILE
@given(
    st.dictionaries(
        st.sampled_from(["db", "csl", "properties", "Options", "x"]), JSON_VALUES, max_size=4
    )
)
def test_bodies_at_random(server: Attacked, body: dict[str, Any]) -> None:
    for path in ("/v2/rest/query", "/v1/rest/mgmt"):
        server.check(server.send(path, json.dumps(body).encode()))


@seed(4)
@PROFILE
@given(
    st.dictionaries(st.sampled_from(["Options", "Parameters", "x"]), JSON_VALUES, max_size=3),
    st.dictionaries(
        st.sampled_from(
            ["servertimeout", "truncationmaxrecords", "truncationmaxsize", "notruncation",
             "query_take_max_records", "deferpartialqueryfailures", "norequesttimeout",
             "results_error_reporting_placement", "request_readonly"]
        ),
        JSON_VALUES,
        max_size=3,
    ),
)  # fmt: skip
def test_properties_at_random(
    server: Attacked, properties: dict[str, Any], options: dict[str, Any]
) -> None:
    given_properties = {**properties, "Options": {**options}}
    body = query("declare query_parameters(p:long=5); print p", properties=given_properties)
    server.check(server.send("/v2/rest/query", body), nonsense=False)


@seed(5)
@PROFILE
@given(st.binary(max_size=200), st.sampled_from(["multijson", "json", "csv", "tsv", "psv"]))
def test_rows_at_random(server: Attacked, body: bytes, format_: str) -> None:
    """Nothing that is refused is written; what is taken may be a row of text."""
    before = server.rows()
    found = server.send(f"/v1/rest/ingest/Db/T?streamFormat={format_}", body)
    server.check(found, nonsense=format_ == "multijson" and b"{" not in body)
    if found[0] != 200:
        assert server.rows() == before


@seed(6)
@PROFILE
@given(st.dictionaries(st.sampled_from(["a", "b", "d", "A", "x"]), JSON_VALUES, max_size=4))
def test_records_at_random(server: Attacked, record: dict[str, Any]) -> None:
    """Every record that is JSON is taken, whatever its values; the row can be read."""
    text = json.dumps(record)
    found = server.send(INGEST, text.encode())
    refused = "NaN" in text or "Infinity" in text
    server.check(found, nonsense=refused)
    if not refused:
        assert found[0] == 200, found
    status, _ = server.send("/v2/rest/query", query("T | project a, b, d | take 5"))
    assert status == 200


@seed(7)
@PROFILE
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_urls_at_random(server: Attacked, database: str, table: str, mapping: str) -> None:
    def part(text: str) -> str:
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    path = f"/v1/rest/ingest/{part(database)}/{part(table)}?streamFormat=json"
    server.check(server.send(f"{path}&mappingName={part(mapping)}", RECORD))


@seed(8)
@PROFILE
@given(st.binary(min_size=1, max_size=300))
def test_packed_bodies_at_random(server: Attacked, noise: bytes) -> None:
    packed = bytearray(gzip.compress(RECORD * 20))
    for index, byte in enumerate(noise[:8]):
        packed[(index * 7 + byte) % len(packed)] ^= byte
    before = server.rows()
    found = server.send(INGEST, bytes(packed), GZIP)
    server.check(found, nonsense=False)
    if found[0] != 200:
        assert server.rows() == before


async def test_the_right_requests_still_work() -> None:
    """What the attacks are mutations of is right."""
    async with LocalKusto(database="Db") as local:
        client = Client(local)
        async with client.sdk:
            await client.run(*COMMANDS, *(c for c in COMMAND_SEEDS if "T3" not in c))
            for text in TEXTS:
                await client.query(text, p="x") if "declare" in text else await client.query(text)

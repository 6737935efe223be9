"""Query texts of several statements, and query parameters, with results computed by hand.

No test stands here.
"""

from __future__ import annotations

from typing import Any

from .database import GUID
from .right_values import Right, rows

HOSTILE = "x' or 1==1 //\n\"; Events | take 0 \\ \U0001f600"
EVERY_TYPE = (
    "declare query_parameters(b:bool, i:int, l:long, r:real, m:decimal, s:string, t:datetime, "
    "p:timespan, g:guid, d:dynamic); print b, i, l, r, m, s, t, p, g, d"
)


def sent(name: str, text: str, parameters: dict[str, Any], *expected: list[Any]) -> Right:
    """A query of one result that is sent with parameters."""
    return Right(name, text, [list(expected)], parameters)


STATEMENTS = [
    rows(
        "let of a value",
        "let least = 2; Events | where n > least | order by id asc | project id",
        *"ce",
    ),
    rows("let of a table", "let T = Owners | where weight > 10; T | where id == 'c' | count", [2]),
    rows(
        "let of a function", "let f = (a:long, b:long = 10) { a * b }; print f(2), f(2, 3)", [20, 6]
    ),
    rows(
        "let of a function of tables",
        "let f = (t:(id:string)) { t | where id == 'a' | project id }; union f(Events), f(Owners)",
        *(["a"], ["a"]),
    ),
    rows("toscalar", "print toscalar(Events | summarize max(n)), toscalar(Owners | count)", [5, 4]),
    rows(
        "toscalar of the first column",
        "print toscalar(Owners | top 1 by weight | project owner, id)",
        ["zoe"],
    ),
    rows(
        "toscalar of nothing",
        "print toscalar(Events | where id == 'none' | project n), "
        "toscalar(Events | where id == 'none' | project id)",
        [None, ""],
    ),
    rows(
        "toscalar in where",
        "Events | where n == toscalar(Events | summarize max(n)) | project id",
        ["e"],
    ),
    rows(
        "in a query",
        "Events | where id in (Owners | project id) | order by id asc | project id",
        *"ac",
    ),
    rows("not in a query", "Events | where id !in ((Owners | project id)) | count", [3]),
    rows(
        "in a dynamic array",
        "Events | where id in (dynamic(['a', 'e'])) | order by id asc | project id",
        *"ae",
    ),
    Right(
        "three results of one request",
        "let M = materialize(Events | where isnotnull(n)); M | count; "
        "M | summarize sum(n) by family | order by family asc; M | where n > 5",
        [[[4]], [["", 5], ["x", 3], ["y", 3]], []],
        {},
    ),
    rows(
        "one random value, used twice",
        "let r = materialize(print x = rand()); r | join kind=inner r on x | count",
        [1],
    ),
    rows("set and comments", "set notruncation; // first\nprint 1 // last", [1]),
    rows("quoted names", "print ['a b'] = 1, ['kind'] = 2 | project ['kind'], ['a b']", [2, 1]),
]

PARAMETERS = [
    sent(
        "every type as a literal",
        EVERY_TYPE,
        {
            "b": "true",
            "i": "int(-5)",
            "l": "long(9223372036854775807)",
            "r": "real(0.25)",
            "m": "decimal(1.10)",
            "s": HOSTILE,
            "t": "datetime(2026-01-01T00:00:00.0000001Z)",
            "p": "time(1.02:03:04.5000000)",
            "g": f"guid({GUID})",
            "d": 'dynamic({"k":["v"]})',
        },
        [
            *(True, -5, 2**63 - 1, 0.25, "1.10", HOSTILE, "2026-01-01T00:00:00.0000001Z"),
            *("1.02:03:04.5000000", GUID, {"k": ["v"]}),
        ],
    ),
    sent(
        "every type as null",
        EVERY_TYPE,
        {
            "b": "bool(null)",
            "i": "int(null)",
            "l": "long(null)",
            "r": "real(null)",
            "m": "decimal(null)",
            "s": "",
            "t": "datetime(null)",
            "p": "time(null)",
            "g": "guid(null)",
            "d": "dynamic(null)",
        },
        [None, None, None, None, None, "", None, None, None, None],
    ),
    sent(
        "numbers and booleans as JSON",
        "declare query_parameters(b:bool, l:long, r:real); print b, l + 1, r * 2",
        {"b": True, "l": 41, "r": 0.5},
        [True, 42, 1.0],
    ),
    sent(
        "defaults",
        "declare query_parameters(b:bool = true, i:int = 3, l:long = 5, r:real = 0.5, "
        "s:string = 'none', t:datetime = datetime(2026-01-02), p:timespan = 1h);"
        " print b, i, l, r, s, t, p",
        {"l": "6"},
        [True, 3, 6, 0.5, "none", "2026-01-02T00:00:00.0000000Z", "01:00:00"],
    ),
    sent(
        "a string is not KQL",
        "declare query_parameters(wanted:string); Events | where id == wanted | count",
        {"wanted": "a' or true or id == '"},
        [0],
    ),
    sent(
        "a list for in",
        "declare query_parameters(ids:dynamic); Events | where id in (ids)"
        " | order by id asc | project id",
        {"ids": 'dynamic(["b", "d", "none"])'},
        *(["b"], ["d"]),
    ),
    sent(
        "a datetime to the tick",
        "declare query_parameters(after:datetime); Events | where at > after | count",
        {"after": "datetime(2026-01-01T00:00:00.0000001Z)"},
        [2],
    ),
    sent(
        "in a function and a let",
        "declare query_parameters(least:long); let T = AtLeast(least); T | project id",
        {"least": "2"},
        ["b"],
    ),
]

RIGHT_STATEMENTS = [*STATEMENTS, *PARAMETERS]

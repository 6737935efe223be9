"""Texts Kusto refuses, with the code and a part of the message."""

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError, ranges

SYNTAX = [
    ("", "SEM0139", "no tabular expression"),
    ("let x = 1;", "SEM0139", "no tabular expression"),
    ("Events | where id == 'a' Events | take 1", "SYN0002", "'Events'"),
    ("let x = 5 print x", "SYN0002", "'print'"),
    ("Events || take 1", "SYN0002", "'|'"),
    ("| take 1", "SYN0002", "'|'"),
    ("Events | foo", "SYN0002", "'foo'"),
    ("Events | where", "SYN0002", "<end of text>"),
    ("Events | where (id == 'a'", "SYN0002", "<end of text>"),
    ("Events | where id == 'a' == true", "SYN0002", "'=='"),
    ("Events | where n > 1 > 0", "SYN0002", "'>'"),
    ("Events | where id = 'a'", "SYN0002", "'='"),
    ("Events | where !ok", "SYN0002", "'!'"),
    ("Events | where id in ()", "SYN0002", "')'"),
    ("Events | where id in ('a',)", "SYN0002", "')'"),
    ('Events | where id == "open', "SYN0002", "'\"'"),
    ("Events | project id,", "SYN0002", "<end of text>"),
    ("Events | order n", "SYN0002", "'n'"),
    ("Events | top 3 by n, id", "SYN0002", "','"),
    ("Events | join kind=cross Owners on id", "SYN0002", "cross"),
    ("Events | join kind=bad Owners on id", "SYN0002", "innerunique"),
    ("Events | join Owners", "SYN0002", "<end of text>"),
    ("Events | union kind=left Owners", "SYN0002", "left"),
    ("Events;;Owners", "SYN0002", "';'"),
    ("print 1 2", "SYN0002", "'2'"),
    ("print dynamic({a:1})", "SYN0002", "'a'"),
    ("print `a`", "SYN0002", "'`'"),
    ("print 'a\\z'", "SYN0002", "escape"),
    ("Events | extend x = materialize(Owners)", "SYN0002", "materialize"),
    ("materialize(Owners)", "SYN0002", "materialize"),
    ("let by = 1; print by", "SYN0002", "'by'"),
    ("let latest = 1; print 1", "SYN0002", "'latest'"),
    ("let last = 1; print 1", "SYN0002", "'last'"),
    ("let first = 1; print 1", "SYN0002", "'first'"),
    ("let kind = 1; print 1", "SYN0002", "'kind'"),
    ("let time = 1; print 1", "SYN0002", "'time'"),
    ("let to = 1; print 1", "SYN0002", "'to'"),
    ("let of = 1; print 1", "SYN0002", "'of'"),
    ("let and = 1; print 1", "SYN0002", "'and'"),
    ("let title = 1; print 1", "SYN0002", "'title'"),
    ("print kind = 1", "SYN0002", "'kind'"),
    ("print last = 1", "SYN0002", "'last'"),
    ("print - -1", "SYN0002", "'-1'"),
    ("print int64 = 1", "SYN0002", "'int64'"),
    ("Events | where data.last == 'a'", "SYN0002", "'last'"),
    ("Events | where data.contains == 'a'", "SYN0002", "'contains'"),
    ("datatable(true:long)[1]", "SYN0002", "'true'"),
    ("Events | parse id with 'a' long", "SYN0002", "'long'"),
    ("declare query_parameters(time:string); print 1", "SYN0002", "'time'"),
    ("declare query_parameters(); print 1", "SYN0002", "')'"),
]

SEMANTICS = [
    ("Events | where id < 'b'", "SEM0064", "types string and string"),
    ("Events | where id >= 'b'", "SEM0064", "strcmp"),
    ("Events | where id between ('a' .. 'b')", "KS106", "string, string and string"),
    ("Events | where at > '2026'", "SEM0064", "types datetime and string"),
    ("Events | where id == 5", "SEM0064", "types string and long"),
    ("Events | where n in ('1')", "SEM0064", "types long and string"),
    ("Events | where n == ok and at == n", "SEM0064", "types datetime and long"),
    ("Events | where data < 'a'", "SEM0064", "types dynamic and string"),
    ("Events | where n has 'a'", "KS106", "'has' is not defined"),
    ("Events | where n =~ 'a'", "KS106", "'=~' is not defined"),
    ("Events | where n contains 'a'", "KS106", "'contains'"),
    (
        "Events | where ok and n",
        "KS106",
        "'and' is not defined for the operand types bool and long",
    ),
    ("Events | extend x = id + 1", "SEM0001", "between string and long"),
    ("Events | extend x = id + id", "SEM0001", "between string and string"),
    ("Events | extend x = at + at", "SEM0001", "between datetime and datetime"),
    ("Events | extend x = -id", "KS106", "'-' is not defined for the operand type string"),
    ("Events | where n", "KS141", "must have the type bool"),
    ("Events | where data", "KS141", "must have the type bool"),
    ("Events | where data.k", "KS141", "must have the type bool"),
    (
        "Events | where absent == 1",
        "SEM0100",
        "'where' operator: Failed to resolve column or scalar expression named 'absent'",
    ),
    ("Events | project absent", "SEM0100", "'project' operator"),
    ("Events | extend a = 1, b = a", "SEM0100", "named 'a'"),
    ("Events | project-away absent", "SEM0100", "'project-away' operator"),
    ("Events | project-rename x = absent", "SEM0100", "'project-rename' operator"),
    ("Events | join Owners on absent", "SEM0100", "'join' operator"),
    ("Events | project id.x", "SEM0100", "named 'x'"),
    ("print x", "SEM0100", "'print' operator"),
    ("Nowhere | take 1", "SEM0100", "Failed to resolve table expression named 'Nowhere'"),
    ("Events | union Nowhere", "SEM0100", "named 'Nowhere'"),
    ("print toscalar(Nowhere)", "SEM0100", "named 'Nowhere'"),
    ("table('Nowhere')", "SEM0100", "named 'Nowhere'"),
    ("materialized_view('Events')", "KS210", "known materialized view"),
    ("print nowhere(1)", "SEM0260", "Unknown function: 'nowhere'"),
    ("nowhere()", "SEM0260", "Unknown function: 'nowhere'"),
    ("Events | invoke nowhere()", "SEM0260", "Unknown function: 'nowhere'"),
    ("Events | where count() > 1", "KS144", "aggregate function 'count' is not allowed"),
    ("Events | extend x = max(n)", "KS144", "aggregate function 'max'"),
    ("Events | summarize sum(max(n))", "KS144", "aggregate function 'max'"),
    ("Events | summarize n", "KS236", "not an aggregate"),
    ("Events | summarize max(n) + n", "KS236", "not an aggregate"),
    ("Events | summarize n + 1 by n", "KS236", "not an aggregate"),
    ("Events | summarize count() by data", "KS116", "'dynamic' is not allowed"),
    ("Events | summarize count() by data.k", "KS116", "tostring"),
    ("Events | distinct data", "KS116", "'dynamic'"),
    ("Events | order by data", "KS116", "'dynamic'"),
    ("Events | top 3 by data.k", "KS116", "'dynamic'"),
    ("Events | join Events on data", "KS116", "'dynamic'"),
    ("Events | partition by data (take 1)", "KS116", "'dynamic'"),
    ("Events | extend x = hash(data)", "KS116", "'dynamic'"),
    ("Events | summarize max(data)", "KS206", "orderable"),
    ("print g = new_guid() | summarize max(g)", "KS206", "orderable"),
    ("Events | summarize arg_max(data, id)", "KS206", "orderable"),
    ("Events | summarize arg_max(id, *, n)", "KS191", "*"),
    ("Events | summarize x = 1 + arg_max(n, id)", "KS149", "stand alone"),
    ("Events | summarize (a, b, c) = arg_max(n, id)", "KS149", "named values"),
    ("Events | summarize (a, b) = max(n)", "KS149", "named values"),
    ("Events | summarize sum(id)", "KS138", "must be summable"),
    ("Events | summarize percentile(n, n)", "KS131", "literal"),
    ("Events | project id, id", "KS171", "'id' is already declared"),
    ("Events | extend a = 1, a = 2", "KS171", "'a' is already declared"),
    ("Owners | project-rename owner = id", "KS171", "'owner' is already declared"),
    ("Events | extend x = strlen()", "KS119", "'strlen' expects 1 argument."),
    ("Events | extend x = strlen(n)", "KS141", "string or dynamic"),
    ("Events | extend x = substring(id)", "KS120", "'substring' expects between 2 and 3"),
    ("Events | extend x = substring(id, 'a')", "KS134", "integer"),
    ("Events | extend x = sqrt(id)", "KS137", "number"),
    ("Events | extend x = case(ok, 1)", "KS120", "'case' expects between 3"),
    ("Events | extend x = iff(n, 1, 2)", "KS107", "type bool expected"),
    ("Events | extend x = not(n)", "KS107", "type bool expected"),
    ("Events | extend x = now('a')", "KS107", "type timespan expected"),
    ("Events | extend x = startofday(id)", "KS107", "type datetime expected"),
    ("Events | extend x = coalesce(id, n)", "KS232", "No common type"),
    ("Events | extend x = max_of(n, at)", "KS232", "No common type"),
    ("Events | extend x = datetime_add('foo', 1, at)", "KS140", "year"),
    ("Events | extend x = format_datetime(at, id)", "KS131", "literal"),
    ("Events | extend x = format_datetime(at, 'yyyyX')", "SEM0455", "'X'"),
    ("Events | extend x = replace_regex(id, kind_name, '')", "KS129", "constant"),
    ("Events | where id matches regex '('", "SEM0420", "regular expression"),
    ("Events | where id matches regex '(?=a)'", "SEM0420", "(?="),
    ("Events | extend x = array_length(n)", "KS234", "dynamic array"),
    ("Events | extend x = bag_keys(id)", "KS235", "dynamic bag"),
    ("Events | extend x = bag_pack('a')", "KS121", "incorrect number"),
    ("Events | extend x = n[0]", "KS147", "[]"),
    ("Events | mv-expand n", "KS141", "must have the type dynamic"),
    ("Events | mv-expand data to typeof(strin)", "KS160", "'strin' is not a valid type name"),
    ("Events | take 'a'", "KS134", "integer"),
    ("Events | take n", "SEM0100", "'take' operator"),
    ("Events | join Owners on $left.n == $right.owner", "KS242", "(long, string)"),
    ("Events | join Owners on $right.id == $left.id", "KS183", "$left"),
    ("Events | join Owners on $left.id == 'a'", "KS183", "$right"),
    ("Events | join Owners on n > 1", "KS182", "join condition"),
    ("Events | where $left.id == 'a'", "KS183", "$left"),
    ("let x = 1; let x = 2; print x", "KS201", "'x' has already been declared"),
    ("let f = (a:string) { a }; print f()", "KS119", "'f' expects 1 argument."),
    ("let f = (a:string) { a }; print f('a', 'b')", "KS119", "'f' expects 1 argument."),
    ("let f = (a:string) { a }; print f(1)", "KS107", "type string expected"),
    ("let f = (a:string) { a }; print f(b = 'x')", "KS196", "no parameter named 'b'"),
    ("let f = (t:(nope:long)) { t }; f(Events)", "KS240", "'nope'"),
    ("let f = (x:long = 5, y:long) { x }; print f(1, 2)", "KS152", "'y'"),
    ("declare query_parameters(a:strin); print a", "KS160", "'strin'"),
    ("declare query_parameters(a:long = 'x'); print a", "KS107", "type long"),
    ("declare query_parameters(a:dynamic = dynamic([])); print 1", "SEM0237", "dynamic"),
    ("declare query_parameters(a:long, a:long); print a", "KS201", "'a'"),
    ("declare query_parameters(t:(x:long)); print 1", "KS160", "table"),
    ("Events | extend x = Owners", "SEM0219", "toscalar"),
    ("Events | extend x = (Owners | count)", "SEM0219", "toscalar"),
    ("let x = 5; x | take 1", "SEM0219", "scalar"),
    ("let x = 5; x", "SEM0219", "'x' is a scalar"),
    ("5", "SEM0219", "print"),
    ("strlen('a')", "SEM0219", "table is expected"),
    ("print datetime(garbage)", "SEM0084", "datetime literal"),
    ("print guid(xyz)", "SEM0084", "guid literal"),
    ("print 9223372036854775808", "SEM0084", "long literal"),
    ("print dynamic([99999999999999999999])", "SEM0084", "long literal"),
    ("datatable(a:long, b:long)[1, 2, 3]", "SEM0016", "multiple"),
    ("datatable(a:long)['x']", "SEM0084", "long"),
    ("range x from 1 to 'a' step 1", "KS138", "summable"),
    ("range x from 1 to 5 step 0", "KS140", "value: 0"),
    ("range x from 1 to 5 step 1s", "KS106", "types long and timespan"),
    ("Events | parse id with 'a' x y", "KS101", "string literal"),
    ("Events | parse id with * x", "KS102", "string literal"),
    ("Events | parse id with 'a' x *", "KS103", "ambiguous"),
    ("Events | parse id with 'a' x 'b' x", "KS171", "'x'"),
    ("Events | fork (count) (take 1)", "LOCAL0001", "'fork' is not supported"),
    ("Events | make-series count() on at step 1d", "LOCAL0001", "'make-series'"),
    ("search 'x'", "LOCAL0001", "'search'"),
    ("Events | search 'x'", "LOCAL0001", "'search'"),
    ("Events | evaluate bag_unpack(data)", "LOCAL0001", "bag_unpack"),
    ("Events | parse kind=regex id with 'a' x", "LOCAL0001", "extract()"),
    ("print series_stats(dynamic([1]))", "LOCAL0001", "series_stats"),
    ("print geo_distance_2points(1, 2, 3, 4)", "LOCAL0001", "geo_distance_2points"),
    ("print cursor_after('')", "LOCAL0001", "ingestion_time()"),
    ("Events | summarize hll(n)", "LOCAL0001", "dcount()"),
    ("Events | summarize makeset(n)", "LOCAL0001", "make_set()"),
]


@pytest.mark.parametrize(("text", "code", "part"), SYNTAX)
def test_syntax(kql, text, code, part):
    with pytest.raises(KqlError) as caught:
        kql.rows(text)
    assert caught.value.code == code
    assert part in caught.value.message


@pytest.mark.parametrize(("text", "code", "part"), SEMANTICS)
def test_semantics(kql, text, code, part):
    with pytest.raises(KqlError) as caught:
        kql.rows(text)
    assert caught.value.code == code
    assert part in caught.value.message


def test_kinds_and_places(kql):
    with pytest.raises(KqlError) as caught:
        kql.rows("Events\n| where n > 1\n  | foo bar")
    assert caught.value.kind == "syntax"
    assert "Line: 3\nPosition: 5" in caught.value.message
    with pytest.raises(KqlError) as caught:
        kql.rows("Events | where id < 'a'")
    assert caught.value.kind == "semantic"
    assert caught.value.message.startswith("Semantic error: SEM0064: ")


def test_long_chains_work_and_deep_nesting_is_refused(kql):
    chain = " or ".join(f"n == {number}" for number in range(3000))
    assert kql.rows(f"Events | where {chain} | count") == [(3,)]
    deep = " + ".join(["1"] * 3000)
    with pytest.raises(KqlError) as caught:
        kql.rows(f"print {deep}")
    assert (caught.value.kind, caught.value.code) == ("limits", "E_QUERY_TOO_COMPLEX")


def test_a_range_without_end_is_stopped(kql, monkeypatch):
    monkeypatch.setattr(ranges, "_MOST_ROWS", 1000)
    assert kql.rows("range x from 1 to 1000 step 1 | count") == [(1000,)]
    with pytest.raises(KqlError) as caught:
        kql.rows("range x from 1 to 1001 step 1 | count")
    assert (caught.value.kind, caught.value.code) == ("limits", "E_RUNAWAY_QUERY")


@pytest.mark.parametrize(
    "name",
    [
        "count",
        "take",
        "limit",
        "top",
        "join",
        "id",
        "on",
        "with",
        "from",
        "step",
        "range",
        "view",
        "nulls",
        "pattern",
        "table",
    ],
)
def test_words_that_may_be_columns(kql, name):
    assert kql.rows(f"print {name} = 5 | where {name} == 5 | project {name}") == [(5,)]


@pytest.mark.parametrize("name", ["kind", "last", "time", "and", "by", "a b", "x-y"])
def test_any_name_works_in_brackets(kql, name):
    assert kql.rows(f"print ['{name}'] = 5 | where ['{name}'] == 5 | project x = ['{name}']") == [
        (5,)
    ]

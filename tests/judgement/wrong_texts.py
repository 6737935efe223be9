"""Query texts that are wrong, and what each judge must call the mistake.

Each is `(name, text, code of Microsoft's binder, code of the local server)`. The server sends the
service's own codes where those are public and the binder's elsewhere; where both are known to it,
the two codes differ. No test stands here.
"""

from __future__ import annotations

WRONG_SYNTAX = [
    ("string left open", "print 'open", "KS001", "SYN0002"),
    ("stray operator", "Events | where id !like 'a'", "KS002", "SYN0002"),
    ("no semicolon", "let x = 1 Events | take x", "KS005", "SYN0002"),
    ("no pipe", "Events where n == 1", "KS005", "SYN0002"),
    ("parenthesis left open", "Events | where (n == 1", "KS005", "SYN0002"),
    ("order without by", "Events | order n", "KS005", "SYN0002"),
    ("sort direction", "Events | sort by n up", "KS005", "SYN0002"),
    ("join kind", "Events | join kind=cross (Owners) on id", "KS005", "SYN0002"),
    ("lookup kind", "Events | lookup kind=fullouter Owners on id", "KS005", "SYN0002"),
    ("union kind", "Events | union kind=left Owners", "KS005", "SYN0002"),
    ("unquoted key of a bag", "print dynamic({a:1})", "KS005", "SYN0002"),
    ("comma at the end", "Events | project id,", "KS006", "SYN0002"),
    ("join without on", "Events | join kind=inner (Owners)", "KS006", "SYN0002"),
    ("empty list", "Events | where id in ()", "KS006", "SYN0002"),
    ("nulls in the middle", "Events | sort by n nulls middle", "KS006", "SYN0002"),
    ("summarize by nothing", "Events | summarize by", "KS006", "SYN0002"),
    ("take of nothing", "Events | partition by id (take)", "KS006", "SYN0002"),
    ("two signs", "print - -1.5", "KS006", "SYN0002"),
    ("two pipes", "Events || take 1", "KS176", "SYN0002"),
    ("unknown operator", "Events | foo", "KS176", "SYN0002"),
    ("two semicolons", "Events;; Owners", "KS198", "SYN0002"),
    ("variable named by a keyword", "let latest = 1; print 1", "KS198", "SYN0002"),
    ("column named by a keyword", "print last = 1", "KS228", "SYN0002"),
    ("column named by a type", "Owners | project int64 = weight", "KS228", "SYN0002"),
    ("keyword in a path", "Events | where data.last == 'one'", "KS006", "SYN0002"),
    ("word of an operator in a path", "Events | project data.contains", "KS006", "SYN0002"),
    ("datatable of a truth", "datatable(true:long)[1]", "KS005", "SYN0002"),
]

WRONG_NAMES = [
    ("column", "Events | where nope == 1", "KS142", "SEM0100"),
    ("column to group by", "Events | summarize count() by nope", "KS142", "SEM0100"),
    ("column projected away", "Events | project id | where n == 1", "KS142", "SEM0100"),
    ("column of the view", "Latest | project nope", "KS142", "SEM0100"),
    ("column within toscalar", "print toscalar(Events | where nope == 1)", "KS142", "SEM0100"),
    ("undeclared parameter", "Events | where id == wanted", "KS142", "SEM0100"),
    ("side outside a join", "Events | where $left.id == 'a'", "KS142", "KS183"),
    ("column of one side only", "Events | join (Owners) on family", "KS145", "SEM0100"),
    ("table", "Nowhere | take 1", "KS204", "SEM0100"),
    ("view that is a table", "materialized_view('Events')", "KS210", "KS210"),
    ("function", "Events | extend x = nowhere(n)", "KS211", "SEM0260"),
    ("type of a parameter", "declare query_parameters(p:strng); print p", "KS160", "KS160"),
    ("type of mv-expand", "Events | mv-expand data to typeof(strin)", "KS160", "KS160"),
    ("type of a datatable", "datatable(a:nope)[1]", "KS160", "KS160"),
    ("column twice", "Events | project id, id", "KS171", "KS171"),
    ("name that is taken", "Events | project-rename id = n", "KS171", "KS171"),
    ("variable twice", "let x = 1; let x = 2; print x", "KS201", "KS201"),
    ("argument name", "let f = (a:string) { a }; print f(b = 'x')", "KS196", "KS196"),
]

WRONG_TYPES = [
    ("string < string", "Events | where id < 'b'", "KS106", "SEM0064"),
    ("string between", "Events | where id between ('a' .. 'b')", "KS106", "KS106"),
    ("datetime > long", "Events | where at > 5", "KS106", "SEM0064"),
    ("has on a number", "Events | where n has 'a'", "KS106", "KS106"),
    ("in~ on a number", "Events | where n in~ ('1')", "KS107", "KS106"),
    ("minus a string", "Events | extend x = -id", "KS106", "KS106"),
    ("string + long", "Events | extend x = id + n", "KS106", "SEM0001"),
    ("bool and long", "Events | where ok and n", "KS106", "KS106"),
    ("sum with arg_max", "Events | summarize x = 1 + arg_max(n, id)", "KS106", "KS149"),
    ("condition of iff", "Events | extend x = iff(n, 1, 2)", "KS107", "KS107"),
    ("condition of case", "Events | extend x = case(n, 1, 2)", "KS107", "KS107"),
    ("table as a scalar", "Events | extend x = Owners", "KS108", "SEM0219"),
    ("query as a scalar", "Events | extend x = (Owners | count)", "KS108", "SEM0219"),
    ("group by dynamic", "Events | summarize count() by data", "KS116", "KS116"),
    ("order by dynamic", "Events | order by data", "KS116", "KS116"),
    ("distinct dynamic", "Events | distinct data", "KS116", "KS116"),
    ("partition by dynamic", "Events | partition by data (take 1)", "KS116", "KS116"),
    ("number that is no integer", "Events | extend x = substring(id, data)", "KS134", "KS134"),
    ("take a string", "Events | take 'a'", "KS134", "KS134"),
    ("root of a string", "Events | extend x = sqrt(id)", "KS137", "KS137"),
    ("sum of strings", "Events | summarize sum(id)", "KS138", "KS138"),
    ("range to a string", "range x from 1 to 'a' step 1", "KS138", "KS138"),
    ("where a number", "Events | where n", "KS141", "KS141"),
    ("where a dynamic", "Events | where data.k", "KS141", "KS141"),
    ("mv-expand a number", "Events | mv-expand n", "KS141", "KS141"),
    ("greatest dynamic", "Events | summarize max(data)", "KS206", "KS206"),
    ("greatest guid", "Events | summarize max(g)", "KS206", "KS206"),
]

WRONG_SHAPES = [
    ("aggregate in where", "Events | where count() > 1", "KS144", "KS144"),
    ("aggregate in extend", "Events | extend x = max(n)", "KS144", "KS144"),
    ("aggregate of an aggregate", "Events | summarize sum(max(n)) by id", "KS144", "KS144"),
    ("column as an aggregate", "Events | summarize n by id", "KS236", "KS236"),
    ("too few arguments", "Events | extend x = strcmp(id)", "KS119", "KS119"),
    ("no argument", "Events | project x = tolong()", "KS119", "KS119"),
    ("too few for a stored function", "AtLeast()", "KS119", "KS120"),
    ("too many for a stored function", "print Twice(1, 2)", "KS119", "KS119"),
    ("pattern of a column", "Events | extend x = replace_regex(id, family, '')", "KS129", "KS129"),
    ("format of a column", "Events | extend x = format_datetime(at, id)", "KS131", "KS131"),
    ("values of a datatable", "datatable(a:long, b:long)[1, 2, 3]", "KS173", "SEM0016"),
    ("join on a comparison", "Events | join (Owners) on n > 1", "KS182", "KS182"),
    ("join on a constant", "Events | join (Owners) on $left.id == 'a'", "KS183", "KS183"),
]

WRONG_PATTERNS = [
    ("two columns", "Events | parse id with 'a' x y", "KS101", "KS101"),
    ("two stars", "Events | parse id with 'a' * * 'b' x", "KS102", "KS102"),
    ("star before a column", "Events | parse id with * x", "KS102", "KS102"),
    ("star after a string", "Events | parse id with 'a' x *", "KS103", "KS103"),
    ("column twice", "Events | parse id with 'a' x 'b' x", "KS171", "KS171"),
    ("range without steps", "range x from 1 to 5 step 0", "KS140", "KS140"),
    ("range of numbers by time", "range x from 1 to 5 step 1s", "KS106", "KS106"),
    ("range of time by numbers", "range x from 1s to 5s step 1", "KS106", "KS106"),
]

FAMILIES = {
    "syntax": WRONG_SYNTAX,
    "names": WRONG_NAMES,
    "types": WRONG_TYPES,
    "shapes": WRONG_SHAPES,
    "patterns": WRONG_PATTERNS,
}
WRONG = [
    (f"{family}: {name}", text, judge, server)
    for family, rows in FAMILIES.items()
    for name, text, judge, server in rows
]

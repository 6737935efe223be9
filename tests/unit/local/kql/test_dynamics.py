"""Functions of arrays and property bags, and paths into them."""

import pytest


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("dynamic({'a':{'b':[1,2]}}).a.b[1]", 2),
        ("dynamic({'a b':1})['a b']", 1),
        ("dynamic({'a b':1}).['a b']", 1),
        ("dynamic({'a':1}).absent", None),
        ("dynamic([1,2,3])[-1]", 3),
        ("dynamic([1,2,3])[5]", None),
        ("dynamic([1,2,3]).a", None),
        ("dynamic('text')[0]", None),
        ("array_length(dynamic([1, 2]))", 2),
        ("array_length(dynamic({}))", None),
        ("array_concat(dynamic([1]), dynamic([2, [3]]))", [1, 2, [3]]),
        ("array_slice(dynamic([1,2,3,4,5]), 1, 2)", [2, 3]),
        ("array_slice(dynamic([1,2,3,4,5]), 2, -1)", [3, 4, 5]),
        ("array_slice(dynamic([1,2,3,4,5]), -3, -2)", [3, 4]),
        ("array_split(dynamic([1,2,3,4,5]), 2)", [[1, 2], [3, 4, 5]]),
        ("array_split(dynamic([1,2,3,4,5]), dynamic([1,3]))", [[1], [2, 3], [4, 5]]),
        ("array_sort_asc(dynamic([null, 3, 1, 2]))", [1, 2, 3, None]),
        ("array_sort_asc(dynamic([null, 3, 1]), false)", [None, 1, 3]),
        ("array_sort_desc(dynamic(['b', 'a', 'C']))", ["b", "a", "C"]),
        ("array_reverse(dynamic([1, 2]))", [2, 1]),
        ("array_sum(dynamic([1, 2.5]))", 3.5),
        ("array_index_of(dynamic(['a','b','a']), 'a')", 0),
        ("array_index_of(dynamic(['a','b','a']), 'a', 1)", 2),
        ("array_index_of(dynamic(['a','b','a']), 'a', 0, -1, 2)", 2),
        ("array_index_of(dynamic(['a']), 'x')", -1),
        ("array_rotate_left(dynamic([1,2,3,4]), 1)", [2, 3, 4, 1]),
        ("array_rotate_right(dynamic([1,2,3,4]), 1)", [4, 1, 2, 3]),
        ("array_shift_left(dynamic([1,2,3]), 1)", [2, 3, None]),
        ("array_shift_right(dynamic([1,2,3]), 1, 0)", [0, 1, 2]),
        ("array_iff(dynamic([true, false, 1]), dynamic([1, 2, 3]), 0)", [1, 0, 3]),
        ("zip(dynamic([1, 2, 3]), dynamic(['a', 'b']))", [[1, "a"], [2, "b"], [3, None]]),
        ("repeat('x', 3)", ["x", "x", "x"]),
        ("range(1, 3)", [1, 2, 3]),
        ("range(1, 10, 4)", [1, 5, 9]),
        ("range(3, 1, -1)", [3, 2, 1]),
        ("range(1, 2, 0.5)", [1, 1.5, 2]),
        ("range(1h, 2h, 30m)", ["01:00:00", "01:30:00", "02:00:00"]),
        ("pack_array(1, 'a', 1h, true)", [1, "a", "01:00:00", True]),
        ("bag_pack('b', 1, 'a', dynamic([2]))", {"a": [2], "b": 1}),
        ("pack('when', datetime(2026-01-02))", {"when": "2026-01-02T00:00:00.0000000Z"}),
        ("bag_keys(dynamic({'b':1,'a':2}))", ["a", "b"]),
        ("bag_keys(dynamic([1]))", None),
        ("bag_merge(dynamic({'a':1}), dynamic({'a':2,'b':3}))", {"a": 1, "b": 3}),
        ("bag_merge(dynamic(null), dynamic({'a':2}))", {"a": 2}),
        ("bag_has_key(dynamic({'a':{'b':1}}), 'a')", True),
        ("bag_has_key(dynamic({'a':{'b':1}}), '$.a.b')", True),
        ("bag_has_key(dynamic({'a':{'b':1}}), '$.a.x')", False),
        ("bag_remove_keys(dynamic({'a':1,'b':2}), dynamic(['a']))", {"b": 2}),
        ("bag_set_key(dynamic({'a':1}), 'b', 2)", {"a": 1, "b": 2}),
        ("bag_zip(dynamic(['a','b']), dynamic([1]))", {"a": 1, "b": None}),
        (
            'treepath(parse_json(\'{"prop1":[1,2], "prop2":"v"}\'))',
            ["['prop1']", "['prop1'][0]", "['prop2']"],
        ),
        ("set_has_element(dynamic([1,2]), 2)", True),
        ("set_has_element(dynamic([1,2]), '2')", False),
        ("set_has_element(dynamic([true]), 1)", False),
        ("set_union(dynamic([1,2]), dynamic([2,3]))", [1, 2, 3]),
        ("set_difference(dynamic([1,2,2,3]), dynamic([2]))", [1, 3]),
        ("set_intersect(dynamic([1,2,3]), dynamic([3,2]), dynamic([2]))", [2]),
        ("set_equals(dynamic([1,2]), dynamic([2,1]))", True),
        ("jaccard_index(dynamic([1,2]), dynamic([2,3,4]))", 0.25),
        ("has_any_index('this is an example', dynamic(['x', 'IS']))", 1),
    ],
)
def test_dynamic_functions(kql, expression, expected):
    found = kql.value(expression)
    assert found == expected
    assert type(found) is type(expected)


def test_keys_of_bags_come_back_in_order(kql):
    assert list(kql.value("bag_pack('b', 1, 'a', 2)")) == ["a", "b"]
    assert list(kql.value("bag_merge(dynamic({'z':1}), dynamic({'a':2}))")) == ["a", "z"]


def test_pack_all(kql):
    [row] = kql.rows("print b = 'x', a = 1h, e = '' | project bag = pack_all()")
    assert row == ({"a": "01:00:00", "b": "x", "e": ""},)
    [row] = kql.rows("print b = 'x', e = '', n = long(null) | project pack_all(true)")
    assert row == ({"b": "x"},)


def test_paths_over_rows(kql):
    assert kql.rows("Events | project id, data.k, data['list'][0], data[0]") == [
        ("a", 1, 1, None),
        ("b", None, None, None),
        ("c", None, None, 10),
        ("d", None, None, None),
    ]
    assert kql.schema("Events | project data.k, data['list'][0], data[0]") == [
        "data_k:dynamic",
        "data_list_0:dynamic",
        "data_0:dynamic",
    ]


def test_the_hidden_ingestion_time_is_not_packed(kql):
    columns = "Owners | where id == 'a' | project"
    packed = ["a", "ann", 10]
    assert kql.column(f"{columns} pack_array(*), ingestion_time()") == [packed]
    assert kql.column(f"{columns} pack_all(), ingestion_time()") == [
        {"id": "a", "owner": "ann", "weight": 10}
    ]

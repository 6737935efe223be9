"""What functions make of nulls, of dynamics of the wrong shape, and of wrong argument counts."""

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError, functions

NULL = "long(null)"


@pytest.mark.parametrize(
    "expression",
    [
        f"abs({NULL})", f"sqrt({NULL})", f"round({NULL}, 1)", f"bin({NULL}, 5)", f"bin(5, {NULL})",
        f"pow({NULL}, 2)", f"sign({NULL})", "isnan(real(null))", f"binary_and({NULL}, 1)",
        f"tolong({NULL})", "todatetime('')", "totimespan('')", "toguid('')", "toreal('')",
        "todecimal('x')", "tobool('')", "startofday(datetime(null))", "endofweek(datetime(null))",
        "datetime_add('day', 1, datetime(null))", f"datetime_add('day', {NULL}, now())",
        "datetime_part('day', datetime(null))", "getyear(datetime(null))",
        "dayofweek(datetime(null))", f"make_datetime({NULL}, 1, 1)", "make_timespan(25, 0)",
        f"unixtime_seconds_todatetime({NULL})", "unixtime_seconds_todatetime(real(nan))",
        "ago(timespan(null))", "now(timespan(null))", f"hash({NULL})",
        "array_length(dynamic(null))", "array_slice(dynamic({}), 0, 1)", "array_sum(dynamic('x'))",
        "array_sum(dynamic(['x']))", "array_reverse(dynamic(1))", "array_split(dynamic(1), 1)",
        "array_split(dynamic([1]), dynamic('x'))", "array_concat(dynamic('x'), dynamic(1))",
        "array_index_of(dynamic('x'), 1)", "array_index_of(dynamic([1]), 1, 5)",
        "array_sort_asc(dynamic({}))", "array_rotate_left(dynamic('x'), 1)",
        "array_shift_left(dynamic('x'), 1)", "array_iff(dynamic('x'), 1, 2)",
        "zip(dynamic('x'), dynamic([1]))", "set_union(dynamic('x'), dynamic([1]))",
        "set_difference(dynamic('x'), dynamic([1]))", "set_intersect(dynamic('x'), dynamic([1]))",
        "set_has_element(dynamic('x'), 1)", "set_equals(dynamic('x'), dynamic([1]))",
        "jaccard_index(dynamic([]), dynamic([]))", "bag_keys(dynamic(null))",
        "bag_merge(dynamic(1), dynamic('x'))", "bag_has_key(dynamic([1]), 'a')",
        "bag_remove_keys(dynamic([1]), dynamic(['a']))", "bag_set_key(dynamic(1), 'a', 1)",
        "bag_zip(dynamic(1), dynamic([1]))", "range(1, 5, 0)", f"range(1, {NULL})",
        "repeat(1, -1)", "has_any_index('x', dynamic('x'))", "base64_decode_toarray('x')",
        "base64_decode_toguid('S3VzdG8=')", "indexof('abc', 'a', 10)", "indexof('abc', 'a', 0, -2)",
        "extract_all('(x)', dynamic('x'), 'x')", "binary_shift_left(1, -1)", "bin_at(5, 0, 1)",
    ],
)  # fmt: skip
def test_null(kql, expression):
    assert kql.value(expression) is None


@pytest.mark.parametrize(
    "expression",
    [
        f"strcat({NULL})", f"tostring({NULL})", f"substring({NULL}, 0)", f"strrep('a', {NULL})",
        "format_datetime(datetime(null), 'yyyy')", "strcat_array(dynamic('x'), ',')",
        "dynamic_to_json(dynamic(null))", "base64_encode_fromarray(dynamic([300]))",
        "base64_encode_fromarray(dynamic('x'))", "make_string(-1)",
        "zlib_decompress_from_base64_string('AAAA')",
        "gzip_decompress_from_base64_string('H4sIAAAAAAAA')", "base64_decode_tostring('/w==')",
        "replace_strings('a', dynamic('x'), dynamic([]))",
    ],
)  # fmt: skip
def test_strings_have_no_null(kql, expression):
    assert kql.typed(expression) == ("string", "")


# These take any number of arguments down to none, or bind from other functions.
_FREE = {
    "now",
    "rand",
    "new_guid",
    "pi",
    "current_database",
    "pack_all",
    "ingestion_time",
    "row_number",
}


@pytest.mark.parametrize("name", sorted(functions.names() - _FREE))
def test_every_function_counts_its_arguments(kql, name):
    with pytest.raises(KqlError) as caught:
        kql.rows(f"range x from 1 to 1 step 1 | project {name}()")
    assert caught.value.kind == "semantic"
    # Too few arguments, or a function that is refused by name.
    assert caught.value.code in {"KS119", "KS120", "KS121", "LOCAL0001", "SEM0530"}
    assert name in caught.value.message or caught.value.code == "KS121"


@pytest.mark.parametrize(
    "name",
    sorted(
        functions.names()
        - {
            "case",
            "pack_array",
            "bag_pack",
            "pack",
            "pack_dictionary",
            "make_string",
            "unicode_codepoints_to_string",
        }
    ),
)
def test_no_function_takes_a_hundred_arguments(kql, name):
    many = ", ".join(["1"] * 99)
    with pytest.raises(KqlError) as caught:
        kql.rows(f"range x from 1 to 1 step 1 | project {name}({many})")
    assert caught.value.kind == "semantic"

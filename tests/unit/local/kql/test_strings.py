"""Functions of strings, encodings and hashes."""

import pytest


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('strcat("a", 1, true, 1.5, 1h)', "a1true1.501:00:00"),
        ('strcat("a", long(null), "b")', "ab"),
        ('strcat_delim("-", "a", 2, "c")', "a-2-c"),
        ('strcat_array(dynamic(["a", 2, {"b":1}]), "->")', 'a->2->{"b":1}'),
        ('strlen("héllo")', 5),
        ('strlen(dynamic("abc"))', 3),
        ('string_size("é")', 2),
        ('substring("abcdef", 2)', "cdef"),
        ('substring("abcdef", 1, 2)', "bc"),
        ('substring("abcdef", -2)', "ef"),
        ('substring("abc", 5)', ""),
        ('split("a,b,,c", ",")', ["a", "b", "", "c"]),
        ('split("a,b,c", ",", 1)', ["b"]),
        ('split("a,b", ",", 5)', []),
        ('split("", ",")', [""]),
        ('split("abc", "")', ["abc"]),
        ('split("a//b", "//")', ["a", "b"]),
        ('strcmp("a", "b")', -1),
        ('strcmp("b", "a")', 1),
        ('strcmp("a", "a")', 0),
        ('strcmp("a", "A")', 1),
        ('strcmp("Z", "é")', -1),
        ('strrep("ab", 3)', "ababab"),
        ('strrep("ab", 3, "-")', "ab-ab-ab"),
        ('strrep("ab", 0)', ""),
        ('strlen(strrep("a", 2000))', 1024),
        ('tolower("ÀB")', "àb"),
        ('toupper("ab")', "AB"),
        ('reverse("abc")', "cba"),
        ("reverse(123)", "321"),
        ('indexof("abcdefg", "cde")', 2),
        ('indexof("abcdefg", "cde", 1, 4)', 2),
        ('indexof("abcdefg", "cde", 1, 2)', -1),
        ('indexof("abcdefg", "cde", 3, 4)', -1),
        ('indexof("abcdefg", "cde", -5)', 2),
        ("indexof(1234567, 5, 1, 4)", 4),
        ('indexof("abcdefgabcdefg", "cde", 1, 10, 2)', 9),
        ('indexof("abcdefgabcdefg", "cde", 1, -1, 3)', -1),
        ('indexof_regex("ab12cd34", @"\\d+", 0, -1, 2)', 6),
        ('countof("aaaa", "aa")', 3),
        ('countof("aaaa", "aa", "regex")', 2),
        ('countof("ababa", "ab", "normal")', 2),
        ('extract("x=([0-9]+)", 1, "hello x=45.6|wo")', "45"),
        ('extract("x=([0-9]+)", 0, "hello x=45.6|wo")', "x=45"),
        ('extract("x=([0-9.]+)", 1, "hello x=45.6|wo", typeof(real))', 45.6),
        ('extract("y=(.)", 1, "x")', ""),
        ('extract("y=(.)", 1, "x", typeof(long))', None),
        ('extract_all(@"(\\d+)", "a 123, 567 and 789")', ["123", "567", "789"]),
        ('extract_all(@"(\\w)(\\w+)", "ab cde")', [["a", "b"], ["c", "de"]]),
        ('extract_all(@"(\\w)(\\w+)", dynamic([2]), "ab cde")', ["b", "de"]),
        ('extract_all(@"(?P<first>\\w)\\w+", dynamic(["first"]), "ab cde")', ["a", "c"]),
        ('extract_all("(x)", "abc")', None),
        ('replace_string("a.b.c", ".", "-")', "a-b-c"),
        ('replace_regex("Number is 1", @"is (\\d+)", @"was: \\1")', "Number was: 1"),
        ('replace_regex("abc", "(b)", "[$1]")', "a[b]c"),
        ('replace_strings("ab", dynamic(["a", "b"]), dynamic(["b", "c"]))', "bc"),
        ('trim("-", "--a-b--")', "-a-b-"),
        ('trim("-+", "--a-b--")', "a-b"),
        ('trim_start("-+", "--a--")', "a--"),
        ('trim_end("-+", "--a--")', "--a"),
        ('trim(@"[^\\w]+", "--  te st  // $")', "te st"),
        ('translate("krasp", "otsku", "spark")', "kusto"),
        ('translate("abc", "", "ab")', ""),
        ('isempty("")', True),
        ('isnotempty(" ")', True),
        ("isempty(long(null))", True),
        ("isempty(0)", False),
        ('unicode_codepoints_from_string("aé")', [97, 233]),
        ("make_string(75, 117, 115, 116, 111)", "Kusto"),
        ('isascii("aé")', False),
        ('regex_quote("(a.b)")', "\\(a\\.b\\)"),
    ],
)
def test_string_functions(kql, expression, expected):
    found = kql.value(expression)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('base64_encode_tostring("Kusto")', "S3VzdG8="),
        ('base64_decode_tostring("S3VzdG8=")', "Kusto"),
        ('base64_decode_tostring("///=")', ""),
        ('base64_decode_toarray("S3VzdG8=")', [75, 117, 115, 116, 111]),
        ('base64_decode_toarray("!")', None),
        ("base64_encode_fromarray(dynamic([75, 117]))", "S3U="),
        ('gzip_decompress_from_base64_string(gzip_compress_to_base64_string("abc"))', "abc"),
        ('gzip_decompress_from_base64_string("xxxx")', ""),
        (
            'zlib_decompress_from_base64_string("eJwLSS0uUSguKcrMS1cwNDIGACxqBQ4=")',
            "Test string 123",
        ),
        ('zlib_decompress_from_base64_string(zlib_compress_to_base64_string("é"))', "é"),
        ('url_encode("https://a b")', "https%3a%2f%2fa+b"),
        ('url_encode_component("a b&c")', "a%20b%26c"),
        ('url_decode("a%20b%26c")', "a b&c"),
        ('parse_url("scheme://u:p@host:1234/this/is?k1=v1&k2=v2#frag").Host', "host"),
        (
            'tostring(parse_url("https://h/p?k2=v2&k1=v1")["Query Parameters"])',
            '{"k1":"v1","k2":"v2"}',
        ),
        ('hash("World")', 1846988464401551951),
        ('hash("World", 100)', 51),
        ('hash(datetime("2015-01-01"))', 1380966698541616202),
        ('hash_md5("World")', "f5a7924e621e84c9280a9a27e1bcb7f6"),
        ("hash_md5(datetime(2020-01-01))", "786c530672d1f8db31fee25ea8a9390b"),
        ('hash_sha1("World")', "70c07ec18ef89c5309bbb0937f3a6342411e1fdd"),
        (
            'hash_sha256("World")',
            "78ae647dc5544d227130a0682a51e30bc7777fbb6d8a8f17007463a3ecd1d524",
        ),
    ],
)
def test_encodings_and_hashes(kql, expression, expected):
    assert kql.value(expression) == expected


@pytest.mark.parametrize(
    ("text", "unsigned"),
    [
        ("", 0xEF46DB3751D8E999),
        ("abc", 0x44BC2CF5AD770999),
        # 32 bytes and more take another way through the algorithm.
        ("The quick brown fox jumps over the lazy dog", 0x0B242D361FDA71BC),
    ],
)
def test_hash_is_xxhash64(kql, text, unsigned):
    assert kql.value(f'hash("{text}")') % 2**64 == unsigned


def test_a_gzip_with_a_file_name_is_not_understood(kql):
    import base64
    import gzip
    import io

    stream = io.BytesIO()
    with gzip.GzipFile(filename="name", mode="wb", fileobj=stream, mtime=0) as file:
        file.write(b"abc")
    text = base64.b64encode(stream.getvalue()).decode()
    assert kql.value(f"gzip_decompress_from_base64_string('{text}')") == ""

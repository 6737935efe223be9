"""Text of commands: tokens, string literals, blocks, the commands of a script."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto.local.errors import ServiceError
from langgraph.checkpoint.kusto.local.text import (
    block_end,
    renamed_source,
    split_script,
    token_at,
    tokens,
)


def kinds(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.value) for token in tokens(text)]


def test_words_may_hold_hyphens_and_signs_may_hold_two_characters() -> None:
    assert kinds(".create-merge table T <| a..b") == [
        ("sign", "."),
        ("word", "create-merge"),
        ("word", "table"),
        ("word", "T"),
        ("sign", "<|"),
        ("word", "a"),
        ("sign", ".."),
        ("word", "b"),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\"b"', 'a"b'),
        ("'it''s'", "it"),  # two adjacent literals, the first of which is `it`
        ("'a\\tb\\u00e9\\x41'", "a\tb\u00e9A"),
        ("@'c:\\dir'", "c:\\dir"),
        ("@'it''s'", "it's"),
        ('h"secret"', "secret"),
        ("```line 1\nline 'two'```", "line 1\nline 'two'"),
        ('"// no comment"', "// no comment"),
    ],
)
def test_string_literals(text: str, value: str) -> None:
    token = token_at(text, 0)
    assert (token.kind, token.value) == ("string", value)


def test_numbers_timespans_and_guids() -> None:
    assert kinds("30d 1.5h 7 11111111-2222-3333-4444-555555555555") == [
        ("number", "30d"),
        ("number", "1.5h"),
        ("number", "7"),
        ("guid", "11111111-2222-3333-4444-555555555555"),
    ]


def test_comments_are_skipped() -> None:
    assert kinds("a // b\n// c\n d") == [("word", "a"), ("word", "d")]


def test_an_open_string_names_its_place() -> None:
    with pytest.raises(ServiceError) as caught:
        list(tokens("abc\n 'open"))
    assert "SYN0002" in caught.value.detail
    assert "[line:position=2:2]" in caught.value.detail


def test_a_block_ends_at_its_own_bracket() -> None:
    text = "{ T | where a == '}' // }\n | extend b = dynamic({}) } rest"
    assert text[block_end(text, 0) :] == " rest"


def test_a_block_must_be_closed() -> None:
    with pytest.raises(ServiceError, match="The '\\{' is not closed"):
        block_end("{ (", 0)


def test_a_script_is_cut_at_lines_that_begin_with_a_dot() -> None:
    script = """
// first
.create table A (a:string)

   .create-or-alter function F() {
    T
    .x
}
.alter table A docstring 'text
'
"""
    with pytest.raises(ServiceError):
        split_script(script)  # an ordinary literal cannot span lines
    good = script.replace("'text\n'", "```text\n.not a command```")
    commands = split_script(good)
    assert [command.split("\n")[0] for command in commands] == [
        ".create table A (a:string)",
        ".create-or-alter function F() {",
        ".alter table A docstring ```text",
    ]


def test_a_script_of_comments_is_empty() -> None:
    assert split_script("// nothing\n\n") == []


def test_text_before_the_first_command_is_refused() -> None:
    with pytest.raises(ServiceError, match="must begin with a dot"):
        split_script("create table A (a:string)")


@pytest.mark.parametrize(
    ("query", "renamed"),
    [
        ("T | summarize arg_max(T, *) by a", "['T/V'] | summarize arg_max(T, *) by a"),
        ("['T'] | where x == 'T'", "['T/V'] | where x == 'T'"),
        ("let b = 1; T | where x > b", "let b = 1; ['T/V'] | where x > b"),
        ("// T\nT\n| take 1", "// T\n['T/V']\n| take 1"),
        ("Other | where T", "Other | where T"),
    ],
)
def test_only_the_source_of_a_statement_is_renamed(query: str, renamed: str) -> None:
    assert renamed_source(query, "T", "T/V") == renamed

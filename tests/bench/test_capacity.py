"""The calculator as a command, what it was measured from, and the document that explains it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shared.places import command, local_place

from benchmarks import limits
from benchmarks.advice import advice
from benchmarks.capacity import EXAMPLES, MEASURED, examples_text, figure, main, with_examples
from benchmarks.measured import COMMAND, shared, step
from benchmarks.sizing import Cluster, Load, estimate

DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"
FOUND: dict[str, Any] = json.loads(MEASURED.read_text())


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_it_prints_what_it_computed(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--chats-per-s", "10", "--cores", "2", "--nodes", "3")

    found = estimate(Load(chats_per_s=10), FOUND)
    lines = {re.split(r"  +", line)[0]: line for line in text.splitlines()}
    assert text.startswith("--chats-per-s 10 --steps-per-chat 20 ")
    assert re.split(r"  +", lines["steps a second"])[1:] == ["200", "asked"]
    assert f"{figure(found.streams)} of 36" in lines["streaming requests at a time"]
    assert f"{figure(found.queries)} of 20" in lines["queries at a time"]
    assert lines["GB stored, compressed"].endswith("assumed")
    assert lines["2 x 2 cores"].endswith("no")
    assert lines["16 x 16 cores"].endswith("yes")
    for line in advice(Load(chats_per_s=10), Cluster(3, 2), found):
        assert f"- {line}" in text.splitlines()


def test_it_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "--json", "--kb-per-step", "2", "--processes", "9"))

    assert found["load"]["kb_per_step"] == 2
    assert found["load"]["processes"] == 9
    assert found["cluster"] == {"nodes": 2, "cores": 8}
    assert found["estimate"]["steps_per_s"] == 20
    assert found["estimate"]["cluster"] == {"nodes": 2, "cores": 2}
    assert found["enough"] is True
    assert len(found["limits"]) == len(limits.LIMITS)
    assert set(found["partitions"]) == set(found["estimate"]["hot_gb"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chats-per-s", "0"], "0 is not over 0"),
        (["--chats-per-s", "nan"], "nan is not over 0"),
        (["--chats-per-s", "many"], "invalid"),
        (["--steps-per-chat", "1.5"], "invalid"),
        (["--nodes", "0"], "0 is not a number from 1"),
        (["--mean-share", "1.5"], "1.5 is not over 0 and at most 1"),
        (["--hot-days", "91"], "--hot-days are more than --retention-days"),
        (["--unknown"], "unrecognized"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_figures_have_three_digits_that_count() -> None:
    shown = [figure(value) for value in (0, 0.01234, 0.2, 4.0, 9.999, 99.96, 1_234.5, 31_104_000)]

    assert shown == ["0", "0.0123", "0.2", "4", "10", "100", "1,230", "31,100,000"]


def test_every_option_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    text = capsys.readouterr().out
    for name in Load.__dataclass_fields__:
        assert f"--{name.replace('_', '-')} N" in text


def test_the_commands_it_advises_run() -> None:
    """Those of the document pass Microsoft's parser, in test_readme."""
    load = replace(EXAMPLES["a large product"], chats_per_s=400)
    lines = list(advice(load, Cluster(), estimate(load, FOUND)))
    commands = [line[line.index(".alter") :] for line in lines if ".alter" in line]

    assert len(commands) == 6
    with local_place() as place:
        for text in commands:
            command(place, text)
    document = DOCUMENT.read_text()
    assert all(text in document for text in commands if "partitioning" in text)


async def test_what_was_measured_is_still_so() -> None:
    """Bytes and requests of a short chat; a change of a tenth wants a new `measured.json`."""
    [then] = [
        chat
        for chat in FOUND["chats"]
        if (chat["steps"], chat["message_characters"]) == (10, 2_000)
    ]

    now = await step(10, 2_000)

    assert now["requests"] == then["requests"]
    assert now["rows"] == then["rows"]
    assert now["queries_per_read"] == then["queries_per_read"] == 1
    for name in ("bytes", "wire_bytes", "query_bytes", "answer_bytes", "view_row_bytes"):
        assert now[name] == pytest.approx(then[name], rel=0.1), name


def test_what_calls_share_is_read_off_a_run() -> None:
    found = shared(
        {
            "counts": {"ingest": 40, "query": 21},
            "operations": {name: {"count": 100} for name in ("put", "put_writes", "get_tuple")},
            "seconds": 2.5,
        }
    )

    assert (found["writes"], found["ingest_requests"]) == (200, 40)
    assert (found["reads"], found["queries"], found["seconds"]) == (100, 21, 2.5)


# ------------------------------------------------------------------------------ docs/scaling.md


def test_the_examples_in_the_document_are_what_it_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = printed(capsys, "--examples")

    text = DOCUMENT.read_text()
    assert f"```text\n{shown}```" in text
    assert text == with_examples(text, FOUND)
    other = {**FOUND, "client_us_per_call": 1.0}
    assert "\n  1 us of a client's CPU a call" in with_examples(text, other)


def test_what_the_examples_say_was_measured() -> None:
    shared = {
        "max_in_flight": 12,
        "ingest_seconds": 0.1,
        "writes": 20_000,
        "ingest_requests": 500,
        "seconds": 25,
    }
    text = examples_text({**FOUND, "shared": shared})

    assert "  40 calls a request, 20 requests a second where the bound is 120 (500" in text


def test_the_document_names_every_limit_with_its_page() -> None:
    text = DOCUMENT.read_text()
    for limit in limits.LIMITS:
        assert f"https://learn.microsoft.com/{limit.page}" in text


def test_the_document_says_how_it_was_measured() -> None:
    assert COMMAND in DOCUMENT.read_text()
    assert FOUND["command"] == COMMAND

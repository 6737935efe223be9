"""Wrong queries: Microsoft's binder and the local server reject the same texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .database import Server, running_server
from .wrong_texts import WRONG


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def test_there_are_enough_texts_and_codes() -> None:
    assert len(WRONG) >= 40
    assert len({judge for _, _, judge, _ in WRONG}) >= 12


@pytest.mark.parametrize(
    ("name", "text", "judge", "code"), WRONG, ids=[name for name, _, _, _ in WRONG]
)
def test_both_judges_reject(
    server: Server, verdicts: dict[str, set[str]], name: str, text: str, judge: str, code: str
) -> None:
    assert judge in verdicts.get(name, set())

    status, body = server.post(text)

    assert status == 400
    error = body["error"]
    syntax = code.startswith("SYN")
    assert error["code"] == ("BadRequest_SyntaxError" if syntax else "General_BadRequest")
    assert error["message"] == "Request is invalid and cannot be executed."
    assert error["@type"] == "Kusto.Data.Exceptions.KustoBadRequestException"
    label = "Syntax" if syntax else "Semantic"
    assert error["@message"].startswith(
        f"Request is invalid and cannot be processed: {label} error: {code}: "
    )
    assert error["@permanent"] is True
    assert error["@context"]["activityId"]
    inner = error["innererror"]
    assert inner["code"] == code
    assert inner["@type"] == f"Kusto.Data.Exceptions.{label}Exception"

"""What setup reads out of the answers of Kusto."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto._provisioning import _paths_by_column


@pytest.mark.parametrize(
    ("mapping", "paths"),
    [
        ('[{"column":"a","Properties":{"Path":"$.a"}}]', {"a": "$.a"}),
        ('[{"Column":"a","properties":{"path":"$[\'a\']"}}]', {"a": "$['a']"}),
        ('[{"column":"a","path":"$.a","datatype":"string"}]', {"a": "$.a"}),
        ('[{"column":"a","path":"","Properties":{"Path":"$.b"}}]', {"a": "$.b"}),
        ('[{"column":"a","Properties":{"Transform":"SourceLocation"}}]', {"a": ""}),
        (
            '[{"column":"a","Properties":null},{"column":"b","Properties":{"Path":5}}]',
            {"a": "", "b": ""},
        ),
        ('[{"Name":"a","Ordinal":0}, ["a"], null, 5]', {}),
        ('{"column":"a"}', {}),
        ("null", {}),
        ("not JSON", {}),
        (None, {}),
    ],
)
def test_a_mapping_in_the_forms_it_may_have(mapping: object, paths: dict[str, str]) -> None:
    """Of a form we do not know nothing is claimed, so no database is refused for it."""
    assert _paths_by_column(mapping) == paths

"""Generated values: what both can hold. What only one can is in `test_different_values.py`."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

# What has broken queries: quotes, comments, patterns, paths, operators, other scripts.
HOSTILE = [
    "'", '"', "`", ";", "--", "/*", "|", ":", "%", "_", ".", "a.b", "$", "$.a", "[0]", "{}", "@",
    "a'b", 'a"b', "' or 1=1 --", "\n", "\r\n", "\t", " ", "  a ", "\u00e9", "e\u0301", "\u4e2d",
    "\U0001f600", "\u202e", "\ufeff", "\u00a0", "A", "a", "ab", "\x7f", "\x01", "null", "true", "1",
    "metadata", "thread_id", "@>", "?", "%s", "#",
]  # fmt: skip

_plain = st.text(st.characters(codec="utf-8", exclude_characters="\x00\\"), min_size=1, max_size=6)
names = st.one_of(st.sampled_from(HOSTILE), _plain)
"""Ids, channels and keys that are not empty. No backslash: see the differences."""

texts = st.one_of(
    st.sampled_from([*HOSTILE, "", "\\", "\\x41", "\\u0000"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
)


numbers = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0.0, 0.5, 1.0, -1.0, 1e-7, 5e-324, 0.1, 123456.75]),
    # `jsonb` prints greater ones without a point, and has no -0.0.
    st.floats(-1e15, 1e15).map(lambda number: number + 0.0),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
keys = st.one_of(st.sampled_from(["a", "b", "a.b", "", "step", "A"]), names)

documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(keys, documents, max_size=4)

values: st.SearchStrategy[Any] = st.one_of(
    scalars,
    documents,
    st.binary(max_size=12),
    st.sampled_from(
        [
            {1, 2},
            frozenset({"x"}),
            [math.nan, math.inf, -0.0],
            [2**64 - 1, 1e300],
            [{"k": b"\x00"}],
            ["\x00"],
            {"deep": [{"er": []}]},
            Decimal("1.10"),
            UUID(int=7),
            datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc),
            "z" * 40_000,
            [b"y" * 50_000],
        ]
    ),
)
"""Channel values and writes, as LangGraph's serializer keeps them; ours keeps more."""

"""What a process remembers of one life of a thread: nothing of another, and how much it takes."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto._caches import Manifest, Manifests
from langgraph.checkpoint.kusto._frames import Base
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._values import BlobRef

KEY = CheckpointKey("thread", "", "1")
K = BlobRef("k", 1, 30_000, 5)
M = BlobRef("m", 1, 900, 5, K, 900)
D = BlobRef("d", 1, 900, 5, M, 1_800)


# ------------------------------------------------------------------------------------------- lives


@pytest.mark.parametrize("epoch", ["", "copy", None])
def test_a_copy_of_a_thread_has_values_of_its_own(epoch: str | None) -> None:
    """The ids of its checkpoints are the same; what they refer to may be deleted with the other."""
    manifests, base = Manifests(), Base("k", "t", K)
    manifests.remember(KEY, {"c": K}, {"c": 1}, {"c": base}, "life")

    assert manifests.of(KEY, epoch) is None
    assert manifests.base(KEY, "c", epoch) is None
    assert manifests.unchanged(KEY, "c", 1, epoch) is None
    assert not manifests.is_same(KEY, "c", 1, epoch)
    assert manifests.of(KEY, "life") == Manifest({"c": K}, {"c": 1}, {"c": base}, "life")
    assert manifests.base(KEY, "c", "life") == base
    assert manifests.unchanged(KEY, "c", 1, "life") == K
    assert manifests.is_same(KEY, "c", 1, "life")


def test_what_was_remembered_last_is_of_the_life_written_last() -> None:
    manifests = Manifests()
    manifests.remember(KEY, {"c": K}, {"c": 1}, None, "life")
    manifests.remember(KEY, {"c": D}, {"c": 1}, None, "copy")

    assert manifests.unchanged(KEY, "c", 1, "copy") == D
    assert manifests.unchanged(KEY, "c", 1, "life") is None


# -------------------------------------------------------------------------------------------- size

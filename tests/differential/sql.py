"""What `AsyncPostgresSaver` has no method for, done to its tables: the meaning, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


async def delete_for_runs(saver: Any, run_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Delete checkpoints by the run in their metadata, with their writes; give their names."""
    async with saver.conn.transaction(), saver.conn.cursor() as cursor:
        await cursor.execute(
            "DELETE FROM checkpoints WHERE metadata ->> 'run_id' = ANY(%s)"
            " RETURNING thread_id, checkpoint_ns, checkpoint_id",
            (list(run_ids),),
        )
        rows = await cursor.fetchall()
        for row in rows:
            await cursor.execute(
                "DELETE FROM checkpoint_writes"
                " WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s",
                (row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"]),
            )
    return [(row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"]) for row in rows]


async def copy_thread(saver: Any, source: str, target: str) -> None:
    """Copy every row of a thread; writes without a checkpoint stay where they are."""
    async with saver.conn.transaction(), saver.conn.cursor() as cursor:
        await cursor.execute(
            "INSERT INTO checkpoints"
            " SELECT %s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
            " metadata FROM checkpoints WHERE thread_id = %s",
            (target, source),
        )
        await cursor.execute(
            "INSERT INTO checkpoint_blobs"
            " SELECT %s, checkpoint_ns, channel, version, type, blob"
            " FROM checkpoint_blobs WHERE thread_id = %s",
            (target, source),
        )
        await cursor.execute(
            "INSERT INTO checkpoint_writes"
            " SELECT %s, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path"
            " FROM checkpoint_writes w WHERE thread_id = %s AND EXISTS (SELECT 1 FROM checkpoints c"
            " WHERE (c.thread_id, c.checkpoint_ns, c.checkpoint_id)"
            " = (w.thread_id, w.checkpoint_ns, w.checkpoint_id))",
            (target, source),
        )

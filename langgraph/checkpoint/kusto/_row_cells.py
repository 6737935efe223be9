"""The JSON texts in the cells of a checkpoint row: values that ride in it, references (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from ._clock import format_ticks, parse_ticks
from ._values import BlobRef, Encoded, corrupt, from_base64, to_base64


class reading:  # in small letters, as it is read in a `with`; no generator, which costs more
    """Say where, when JSON has another shape than this library writes."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | RecursionError):
            raise corrupt(f"a cell of {self._where} has another shape: {error!r}") from error


def json_object(text: bytes | str, where: str) -> dict[str, Any]:
    """Read a cell that holds a JSON object."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise corrupt(f"a cell of {where} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise corrupt(f"a cell of {where} is not a JSON object")
    return body


def encoded_to_list(value: Encoded) -> list[object]:
    """Write a value that rides in the row."""
    return [
        value.value_type,
        value.encoding,
        value.value_bytes,
        value.value_hash,
        to_base64(value.payload),
        *([value.spent] if value.spent else []),
    ]


def encoded_from_list(item: Sequence[Any], where: str) -> Encoded:
    """Read a value that rides in a row; what it was stored against stands elsewhere."""
    value_type, encoding, value_bytes, value_hash, payload, *spent = item
    data = from_base64(payload, where)
    return Encoded(value_type, encoding, value_bytes, value_hash, data, None, *spent)


def inline_to_json(values: Mapping[str, Encoded]) -> bytes:
    """Write the values that ride in the row."""
    return orjson.dumps({channel: encoded_to_list(value) for channel, value in values.items()})


def inline_from_json(text: bytes | str, where: str) -> dict[str, Encoded]:
    """Read the values that rode in the row."""
    with reading(where):
        return {
            channel: encoded_from_list(item, f"channel {channel!r} of {where}")
            for channel, item in json_object(text, where).items()
        }


def ref_to_list(ref: BlobRef) -> list[object]:
    """Write a reference; that of a frame holds what it was stored against."""
    item = [ref.blob_id, ref.chunks, ref.stored_bytes, format_ticks(ref.written_at)]
    return item if ref.base is None else [*item, ref_to_list(ref.base), ref.spent]


def ref_from_list(item: Sequence[Any]) -> BlobRef:
    """Read a reference."""
    blob_id, chunks, stored_bytes, written_at, *frame = item
    base, spent = frame or (None, 0)
    base_ref = None if base is None else ref_from_list(base)
    return BlobRef(blob_id, chunks, stored_bytes, parse_ticks(written_at), base_ref, spent)


def refs_to_dict(refs: Mapping[str, BlobRef]) -> dict[str, object]:
    """Write references, by channel."""
    return {channel: ref_to_list(ref) for channel, ref in refs.items()}


def refs_from_dict(items: Mapping[str, Any]) -> dict[str, BlobRef]:
    """Read references, by channel."""
    return {channel: ref_from_list(item) for channel, item in dict(items).items()}


def refs_to_json(blobs: Mapping[str, BlobRef], bases: Mapping[str, BlobRef]) -> bytes:
    """Write the references of the channels, and those of frames that ride in the row."""
    return orjson.dumps({"values": refs_to_dict(blobs), "bases": refs_to_dict(bases)})


def refs_from_json(text: bytes | str, where: str) -> tuple[dict[str, BlobRef], dict[str, BlobRef]]:
    """Read the references of the channels, and those of frames that ride in the row."""
    with reading(where):
        body = json_object(text, where)
        return refs_from_dict(body["values"]), refs_from_dict(body["bases"])


def with_bases(
    inline: Mapping[str, Encoded], bases: Mapping[str, BlobRef], where: str
) -> dict[str, Encoded]:
    """Say of the frames that ride in a row what they were stored against."""
    if unknown := bases.keys() - inline.keys():
        raise corrupt(f"a cell of {where} names bases of {sorted(unknown)}, which are no values")
    return {
        channel: replace(value, base=bases[channel]) if channel in bases else value
        for channel, value in inline.items()
    }


def value_mark(channel: str) -> str:
    """How a row's text begins the value of a channel, in `inline_data` and in `blob_refs`.

    As a key of an object it stands right after `{` or `,`. Elsewhere, the same text may be the end
    of a longer name.
    """
    return orjson.dumps(channel).decode() + ":["


def ref_of_channel(cell: str, channel: str, where: str) -> BlobRef | None:
    """Read what one channel needs in the cell `blob_refs`; None when it does not stand there.

    That is where its value is, or what the frame in the row was stored against.
    """
    with reading(where):
        body = json_object(cell, where)
        for part in ("values", "bases"):
            item = dict(body.get(part) or {}).get(channel)
            if item is not None:
                return ref_from_list(item)
        return None


def spilled_refs(cell: str, where: str) -> BlobRef | None:
    """Read where the references of the channels are, when they do not stand in `blob_refs`."""
    with reading(where):
        item = json_object(cell, where).get("refs")
        return None if item is None else ref_from_list(item)

"""Hash functions: xxHash64 under the name `hash`, MD5 and SHA of the value's text.

`hash()` may change between versions of Kusto: use it within one query only.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, values
from langgraph.checkpoint.kusto.local.kql.coerce import text_of
from langgraph.checkpoint.kusto.local.kql.errors import (
    forbidden_dynamic,
    semantic_error,
    wrong_argument_count,
)
from langgraph.checkpoint.kusto.local.kql.functions.registry import bind_arguments, special
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_MASK = 2**64 - 1
_PRIMES = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK


def _round(accumulator: int, lane: int) -> int:
    accumulator = (accumulator + lane * _PRIMES[1]) & _MASK
    return _rotate(accumulator, 31) * _PRIMES[0] & _MASK


def _merge(result: int, lane: int) -> int:
    return ((result ^ _round(0, lane)) * _PRIMES[0] + _PRIMES[3]) & _MASK


def xxhash64(data: bytes) -> int:
    """XXH64 with seed 0, as an unsigned number."""
    size, at = len(data), 0
    if size >= 32:
        lanes = [(_PRIMES[0] + _PRIMES[1]) & _MASK, _PRIMES[1], 0, -_PRIMES[0] & _MASK]
        while at + 32 <= size:
            block = struct.unpack_from("<4Q", data, at)
            lanes = [_round(lane, word) for lane, word in zip(lanes, block, strict=True)]
            at += 32
        turns = (1, 7, 12, 18)
        result = sum(_rotate(lane, turn) for lane, turn in zip(lanes, turns, strict=True)) & _MASK
        for lane in lanes:
            result = _merge(result, lane)
    else:
        result = _PRIMES[4]
    return _finish((result + size) & _MASK, data, at)


def _finish(result: int, data: bytes, at: int) -> int:
    size = len(data)
    while at + 8 <= size:
        result ^= _round(0, struct.unpack_from("<Q", data, at)[0])
        result = (_rotate(result, 27) * _PRIMES[0] + _PRIMES[3]) & _MASK
        at += 8
    if at + 4 <= size:
        result ^= struct.unpack_from("<I", data, at)[0] * _PRIMES[0] & _MASK
        result = (_rotate(result, 23) * _PRIMES[1] + _PRIMES[2]) & _MASK
        at += 4
    for byte in data[at:]:
        result ^= byte * _PRIMES[4] & _MASK
        result = _rotate(result, 11) * _PRIMES[0] & _MASK
    for shift, prime in ((33, _PRIMES[1]), (29, _PRIMES[2])):
        result = (result ^ result >> shift) * prime & _MASK
    return result ^ result >> 32


def _bytes(value: Any, type_name: str) -> bytes:
    if type_name == "int":
        return struct.pack("<i", value)
    if type_name in ("long", "datetime", "timespan"):
        return struct.pack("<q", value)
    if type_name == "real":
        return struct.pack("<d", value)
    if type_name == "bool":
        return struct.pack("<b", value)
    return values.format_value(value, type_name).encode("utf-8", "surrogatepass")


@special("hash", "hash_xxhash64")
def _hash(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    if len(arguments) not in (1, 2):
        raise wrong_argument_count(node.name, 1, 2)
    source = arguments[0]
    if source.type == "dynamic":
        raise forbidden_dynamic()
    if len(arguments) == 2 and arguments[1].type not in ("int", "long"):
        raise semantic_error("KS134", "The expression value must be an integer.")

    def compute(value: Any, modulus: int | None = None) -> int | None:
        number = xxhash64(_bytes(value, source.type))
        if modulus is None:
            return values.wrap_long(number)
        return number % modulus if modulus > 0 else None

    return combined("long", apply_strict(compute, *arguments), *arguments)


def _digest(name: str, algorithm: str) -> None:
    def bind(node: nodes.Call, scope: Scope) -> Scalar:
        arguments = bind_arguments(node, scope)
        if len(arguments) != 1:
            raise wrong_argument_count(name, 1, 1)
        if arguments[0].type == "dynamic":
            raise forbidden_dynamic()

        def compute(text: str) -> str:
            data = text.encode("utf-8", "surrogatepass")
            return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()

        source = text_of(arguments[0])
        return combined("string", apply_strict(compute, source), source)

    special(name)(bind)


_digest("hash_md5", "md5")
_digest("hash_sha1", "sha1")
_digest("hash_sha256", "sha256")

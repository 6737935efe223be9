"""Functions between texts and their encoded forms: base64, gzip, zlib, URL.

What cannot be decoded gives the empty string, or null where the result is no string.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import uuid
import zlib
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from langgraph.checkpoint.kusto.local.kql.functions.registry import function

_GZIP_FLAGS_AT = 3
_PERCENT = re.compile("%[0-9A-F]{2}")


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _utf8(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------- base64


@function("base64_encode_tostring(text: string) -> string", "base64_encodestring")
def _base64_encode(text: str) -> str:
    return base64.b64encode(_bytes(text)).decode("ascii")


@function("base64_decode_tostring(text: string) -> string", "base64_decodestring")
def _base64_decode(text: str) -> str | None:
    return _utf8(_decode(text))


@function("base64_decode_toarray(text: string) -> dynamic")
def _base64_decode_toarray(text: str) -> list[int] | None:
    data = _decode(text)
    return None if data is None else list(data)


@function("base64_encode_fromarray(array: array) -> string")
def _base64_encode_fromarray(array: Any) -> str | None:
    if not isinstance(array, list):
        return None
    if not all(isinstance(item, int) and 0 <= item <= 255 for item in array):
        return None
    return base64.b64encode(bytes(array)).decode("ascii")


@function("base64_encode_fromguid(value: guid) -> string")
def _base64_encode_fromguid(value: str) -> str:
    return base64.b64encode(uuid.UUID(value).bytes_le).decode("ascii")


@function("base64_decode_toguid(text: string) -> guid")
def _base64_decode_toguid(text: str) -> str | None:
    data = _decode(text)
    return str(uuid.UUID(bytes_le=data)) if data is not None and len(data) == 16 else None


# ---------------------------------------------------------------- compression


@function("gzip_compress_to_base64_string(text: string) -> string")
def _gzip_compress(text: str) -> str:
    return base64.b64encode(gzip.compress(_bytes(text), mtime=0)).decode("ascii")


@function("gzip_decompress_from_base64_string(text: string) -> string")
def _gzip_decompress(text: str) -> str | None:
    """Decompress; a gzip with optional header fields (a file name) is not understood."""
    data = _decode(text)
    if data is None or len(data) <= _GZIP_FLAGS_AT or data[_GZIP_FLAGS_AT] != 0:
        return None
    try:
        return _utf8(gzip.decompress(data))
    except (OSError, EOFError, zlib.error):
        return None


@function("zlib_compress_to_base64_string(text: string) -> string")
def _zlib_compress(text: str) -> str:
    return base64.b64encode(zlib.compress(_bytes(text))).decode("ascii")


@function("zlib_decompress_from_base64_string(text: string) -> string")
def _zlib_decompress(text: str) -> str | None:
    data = _decode(text)
    # The window size stands in the first byte; 15 is the only one understood.
    if not data or data[0] >> 4 != 7:
        return None
    try:
        return _utf8(zlib.decompress(data))
    except zlib.error:
        return None


# ---------------------------------------------------------------- URLs


@function("url_encode(text: string) -> string")
def _url_encode(text: str) -> str:
    return _percent(text, "-_.!*()").replace("%20", "+")


@function("url_encode_component(text: string) -> string")
def _url_encode_component(text: str) -> str:
    return _percent(text, "-_.!~*'()")


def _percent(text: str, safe: str) -> str:
    """Percent-encode with lower-case digits, as Kusto does."""
    encoded = quote(text, safe=safe, errors="surrogatepass")
    return _PERCENT.sub(lambda found: found[0].lower(), encoded)


@function("url_decode(text: string) -> string")
def _url_decode(text: str) -> str:
    return unquote(text)


@function("parse_url(text: string) -> dynamic", "parseurl")
def _parse_url(text: str) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "Fragment": "",
        "Host": "",
        "Password": "",
        "Path": "",
        "Port": "",
        "Query Parameters": {},
        "Scheme": "",
        "Username": "",
    }
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return empty
    if not parts.scheme:
        return empty
    return {
        "Fragment": parts.fragment,
        "Host": _host(parts.netloc),
        "Password": parts.password or "",
        "Path": parts.path,
        "Port": "" if port is None else str(port),
        "Query Parameters": _query(parts.query),
        "Scheme": parts.scheme,
        "Username": parts.username or "",
    }


def _host(location: str) -> str:
    return location.rpartition("@")[2].partition(":")[0]


def _query(text: str) -> dict[str, str]:
    found = dict(parse_qsl(text, keep_blank_values=True))
    return {key: found[key] for key in sorted(found)}


@function("parse_urlquery(text: string) -> dynamic", "parseurlquery")
def _parse_urlquery(text: str) -> dict[str, Any]:
    return {"Query Parameters": _query(text.removeprefix("?"))}

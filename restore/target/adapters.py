"""Dumpers for values that psycopg's own dumpers do not send as a restore needs them."""

from __future__ import annotations

import datetime as dt
import struct
from typing import TYPE_CHECKING

import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Dumper
from psycopg.pq import Format
from psycopg.types.string import BytesBinaryDumper

if TYPE_CHECKING:
    import msgspec

# Timestamps are sent as microseconds since 2000-01-01: PostgreSQL's datatype/timestamp.h.
_EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - for timestamps without a zone
_EPOCH_UTC = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_DAY_US = 86_400_000_000
_NULL = b"null"
_pack_int8 = struct.Struct("!q").pack


class _JsonbDumper(Dumper):
    """Sends jsonb text unchanged after the version byte of its binary form."""

    oid, format = 3802, Format.BINARY

    def dump(self, obj: msgspec.Raw) -> Buffer | None:
        text = bytes(obj)
        return None if text == _NULL else b"\x01" + text


class _JsonDumper(Dumper):
    oid, format = 114, Format.BINARY

    def dump(self, obj: msgspec.Raw) -> Buffer | None:
        text = bytes(obj)
        return None if text == _NULL else text


class _JsonTextDumper(_JsonDumper):
    format = Format.TEXT


class _JsonbTextDumper(_JsonDumper):
    oid, format = 3802, Format.TEXT


class _TimestampDumper(Dumper):
    """Sends a timestamp without a zone in UTC: an offset is converted, never dropped."""

    oid, format = 1114, Format.BINARY

    def dump(self, obj: dt.datetime) -> Buffer | None:
        delta = obj - (_EPOCH if obj.tzinfo is None else _EPOCH_UTC)
        return _pack_int8(delta.days * _DAY_US + delta.seconds * 1_000_000 + delta.microseconds)


class _TimestampTextDumper(Dumper):
    oid, format = 1114, Format.TEXT

    def dump(self, obj: dt.datetime) -> Buffer | None:
        utc = obj if obj.tzinfo is None else obj.astimezone(dt.UTC).replace(tzinfo=None)
        return utc.isoformat(" ").encode()


class _BytesTextDumper(Dumper):
    """Sends bytes as hex, which needs no connection to escape them as psycopg's own does."""

    oid, format = 17, Format.TEXT

    def dump(self, obj: bytes) -> Buffer | None:
        return b"\\x" + obj.hex().encode()


_DUMPERS: tuple[type[Dumper], ...] = (
    *(_JsonbDumper, _JsonDumper, _JsonTextDumper, _JsonbTextDumper),
    *(_TimestampDumper, _TimestampTextDumper),
    # psycopg's own choice for this type, by its oid, is in Python.
    BytesBinaryDumper,
    _BytesTextDumper,
)


def _register(adapters: AdaptersMap) -> AdaptersMap:
    for dumper in _DUMPERS:
        adapters.register_dumper(None, dumper)
    return adapters


# For rows that are encoded before they are sent, without a connection.
ADAPTERS = _register(AdaptersMap(psycopg.adapters))


def prepare(conn: psycopg.Connection) -> None:
    """Register a restore's dumpers on a connection."""
    _register(conn.adapters)

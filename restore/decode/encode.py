"""Decoded rows to their binary form."""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import Format

from restore.decode.absent import adding
from restore.decode.rows import Packed

if TYPE_CHECKING:
    from restore.decode.codec import Codec

# What an encoder may raise for a value that its type cannot hold; psycopg's has no SQLSTATE.
ENCODE_ERRORS = (ValueError, OverflowError, TypeError, struct.error, psycopg.DataError)


def packed(codec: Codec, rows: list[Any]) -> Packed:
    """Turn decoded rows into their binary form.

    Raises:
        psycopg.Error, ValueError, OverflowError, TypeError, struct.error: a value does not fit its
            type.
    """
    form, ends, types = bytearray(), array("Q"), Transformer()
    types.set_dumper_types(codec.oids, Format.BINARY)
    add = adding(codec.fills, binary=True)
    for row in codec.values(rows):
        add(row, types, form)
        ends.append(len(form))
    return Packed(form, ends, unknown=codec.unknown_by_place(rows))

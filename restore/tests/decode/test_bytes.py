"""Bytes in each spelling that programs give them; what is no clear spelling is rejected."""

from __future__ import annotations

import base64
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

BYTES = bytes(range(256))
BASE64 = base64.b64encode(BYTES).decode()
# 0xFB 0xFF give the digits that base64 and base64url spell differently.
ODD = b"\xfb\xef\xbe\xff\xff"
SPELLINGS = {
    "LF": "\n".join(textwrap.wrap(BASE64, 76)),
    "a last LF": "\n".join(textwrap.wrap(BASE64, 76)) + "\n",
    "CR and LF": "\r\n".join(textwrap.wrap(BASE64, 76)),
    "lines of odd length": "\n".join(textwrap.wrap(BASE64, 61)),
    "indented lines": "\n  ".join(textwrap.wrap(BASE64, 64)),
    "unpadded": BASE64.rstrip("="),
    "base64url": base64.urlsafe_b64encode(BYTES).decode(),
    "base64url, unpadded": base64.urlsafe_b64encode(BYTES).decode().rstrip("="),
    "hex": "\\x" + BYTES.hex(),
}
NO_BYTES = ["+_==", "-/A", "QUJDR", "QQ=", "QR", "=QQ=", "QQ==QQ==", "data:;base64,QUJD", "Q*Q="]


@pytest.mark.slow
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.usefixtures("in_c")
def test_each_spelling_gives_its_bytes(target: Target, spelling: str) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, b bytea, bs bytea[])")
    value = SPELLINGS[spelling]
    target.write(t=[{"id": n, "b": value, "bs": [value, None]} for n in range(3)])
    target.restore()
    assert target.rows("SELECT b, bs FROM t") == [(BYTES, [BYTES, None])] * 3


def test_what_encode_of_postgresql_writes_is_read_as_fast_as_any_other(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, b bytea)")
    encoded = "encode(decode(repeat('fbefbeffff', n), 'hex'), 'base64')"
    texts = [text for (text,) in target.rows(f"SELECT {encoded} FROM generate_series(0, 99) n")]
    target.write(t=[{"id": n, "b": text} for n, text in enumerate(texts)])
    report = target.load()
    assert target.rows("SELECT b FROM t ORDER BY id") == [(ODD * n,) for n in range(100)]
    if report.native:
        [table] = report.tables
        assert table.levels.batch == 100


@pytest.mark.slow
@pytest.mark.parametrize("text", NO_BYTES)
def test_what_is_no_clear_spelling_is_rejected(target: Target, text: str) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, b bytea)")
    target.write(t=[{"id": 1, "b": text}, {"id": 2, "b": "QUJD"}])
    target.restore(exit_code=3)
    assert target.rows("SELECT id, b FROM t") == [(2, b"ABC")]
    assert "these are no bytes" in target.rejected("t")[0]["message"]

"""Every format on every file of the cases, whole and cut anywhere: rows, or a FormatError."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from restore.source.formats.format import Format, FormatError
from restore.source.formats.registry import FORMATS
from restore.tests.formats.tables import table

FILES = sorted((Path(__file__).parent / "cases").glob("*/files/*.json*"))
OTHERS = (b"", b"[", b"]", b"{", b"nul", b'"', b"[[]]", b"[{}]", b"{}", b"{}{}", b"\xff\xfe[\0")
KEYS = ("columns", "index", "data", "schema", "meta", "rows", "results", "records", "features")
EACH = pytest.mark.parametrize("reader", FORMATS, ids=lambda each: each.name)


def texts() -> list[bytes]:
    """Return files of the cases, whole and damaged, and objects that look like exports."""
    found = list(OTHERS)
    for data in {path.read_bytes()[:700] for path in FILES if path.is_file()}:
        place = len(data) // 2
        found += [data, data[:place], data[:place] + b"oops" + data[place + 3 :]]
    for key in KEYS:
        found += [b'{"%b": %b}' % (key.encode(), value) for value in (b"1", b"{}", b"[1]", b"[[")]
    return found


@pytest.mark.slow
@EACH
def test_it_yields_rows_or_says_what_is_wrong(reader: Format) -> None:
    for text in texts():
        for tables in (None, {"t": table("id", "name")}):
            is_of = reader.detect(text)
            with contextlib.suppress(FormatError):
                for found in reader.records(io.BytesIO(text), tables):
                    assert 0 <= found.offset < len(text) or not is_of

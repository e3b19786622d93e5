"""Lists of values without names."""

from __future__ import annotations

from pathlib import Path

import pytest

from restore.source.formats.format import FormatError
from restore.source.formats.unnamed import FORMAT
from restore.tests.formats.reading import found_in

ARRAYS = Path(__file__).parent / "cases" / "sqlite-utils-arrays" / "files" / "users.json"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (ARRAYS.read_bytes(), True),
        (b'[1, "a"]\n[2, "b"]\n', True),
        (b"[\n [1", True),
        (b"", False),
        (b"[]", False),
        (b"[][]", False),
        (b"[1, 2]", False),
        (b'[{"id": 1}]', False),
        (b'[[{"id": 1}]]', False),
        (b'{"a": [[1]]}', False),
    ],
)
def test_values_without_names_are_recognised(start: bytes, *, expected: bool) -> None:
    assert FORMAT.detect(start) is expected


def test_they_are_refused_with_what_to_do() -> None:
    with pytest.raises(FormatError, match=r'without --arrays.*orient="records".*JSONEachRow'):
        found_in(FORMAT, ARRAYS.read_bytes())

"""Files that an engine wrote, or other things in their place, are read within bounds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.trial import output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("content", [b'{"a": "\xff\xfe"}', b"{", b"", nested(100_000)])
def test_a_report_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="report: not valid JSON"):
        output.read_report(path)


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")],
    ids=["pipe", "folder", "device"],
)
def test_what_is_no_regular_file_is_not_opened(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "report.json"
    make(path)
    with pytest.raises(ValueError, match="report: not a regular file"):
        output.read_report(path)
    assert output.last_line([path]) is None


def test_a_report_is_read_if_it_is_there_and_not_too_large(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert output.read_report(path) is None
    path.write_text('{"a": 1}')
    assert output.read_report(path) == '{"a": 1}'
    path.write_bytes(nested(10) + b" " * output.REPORT_LIMIT_BYTES)
    assert output.read_report(path) is None

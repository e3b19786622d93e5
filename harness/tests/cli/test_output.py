"""Pages are written whole or not at all."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from harness.cli.output import write_page
from harness.model.errors import HistoryError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_page_that_cannot_be_written_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "new" / "index.html"
    write_page(page, "earlier")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("harness.history.store.os.fsync", full)
    with pytest.raises(HistoryError, match=r"cannot write .*: No space left on device"):
        write_page(page, "later")
    assert page.read_text() == "earlier"
    assert list(page.parent.iterdir()) == [page]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    page, link, pipe = (tmp_path / name for name in ("page", "link", "pipe"))
    page.write_text("earlier")
    link.symlink_to(page)
    write_page(link, "later")
    assert (link.is_symlink(), page.read_text()) == (True, "later")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_page(pipe, "page")
    assert os.read(reader, 100) == b"page"
    os.close(reader)
    assert pipe.is_fifo()

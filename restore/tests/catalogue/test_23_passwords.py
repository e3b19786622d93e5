"""Item 23: a password reaches no error, no report, no option's text and no activity view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from psycopg.conninfo import make_conninfo

from restore import Options, RestoreError
from restore.target.connection import connect
from restore.tests.support.target import COMPANIES

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SECRET = "s3cret"


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/nowhere",
        f"postgresql://me:{SECRET}@rest@127.0.0.1:1/nowhere",
        f"postgresql://me:{SECRET}/rest@127.0.0.1:1/nowhere",
        f"postgresql//me:{SECRET}@127.0.0.1/nowhere",
        f"host=127.0.0.1 port=1 password={SECRET}",
        f"host=127.0.0.1 port=1 password='{SECRET}",
        f"nonsense {SECRET}",
    ],
)
def test_no_error_holds_it(dsn: str) -> None:
    with pytest.raises(RestoreError) as caught:
        connect(dsn)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(Options(backup=Path(), dsn=dsn))


def test_no_report_and_no_session_shows_it(target: Target) -> None:
    target.write(company=COMPANIES)
    target.dsn = make_conninfo(target.dsn, password=SECRET)
    seen: list[str] = []
    report = target.load(
        watch=lambda _: seen.extend(map(str, target.rows("SELECT * FROM pg_stat_activity")))
    )
    assert seen
    assert SECRET not in "".join(seen)
    assert SECRET not in msgspec.json.encode(report).decode()

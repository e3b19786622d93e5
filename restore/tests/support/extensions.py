"""Extensions of a test's server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def create_extension(target: Target, name: str, *, is_packaged: bool = True) -> None:
    """Create an extension; skip the test if the server lacks it.

    Args:
        target: whose database gets it.
        name: the extension's.
        is_packaged: it comes with Debian's postgresql-contrib or PostGIS: where these are required,
            the test fails without it.
    """
    query = "SELECT FROM pg_available_extensions WHERE name = %s"
    if target.conn.execute(query, [name]).fetchone() is None:
        if is_packaged and os.environ.get("RESTOREBENCH_REQUIRE_EXTENSIONS"):
            pytest.fail(
                f"no extension {name}, and RESTOREBENCH_REQUIRE_EXTENSIONS is set", pytrace=False
            )
        pytest.skip(f"this server has no extension {name}")
    target.conn.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name)))

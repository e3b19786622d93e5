"""Backups of one table ``User`` for stores, and restores of URLs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from restore.tests.support.target import user

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def users(number: int) -> bytes:
    """Return a table file of so many users."""
    return json.dumps([user(each, companyId=None) for each in range(number)]).encode()


def restored(target: Target, url: str, *options: str, exit_code: int = 0) -> str:
    """Restore a URL; return what is said."""
    target.backup = url  # type: ignore[assignment] # what the command is given
    return target.restore(*options, exit_code=exit_code)


def count(target: Target) -> int:
    """Return how many users the target has."""
    number: int = target.rows('SELECT count(*) FROM "User"')[0][0]
    return number

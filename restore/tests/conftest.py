"""Fixtures of the restorer's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.target import Target

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path, database: Any) -> Target:
    """A fresh database with a schema, and an empty backup."""
    return Target(tmp_path, database)

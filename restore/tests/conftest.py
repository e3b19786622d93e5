"""Fixtures of the restorer's tests."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.native import not_built
from restore.tests.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path, database: Any) -> Target:
    """A fresh database with a schema, and an empty backup."""
    return Target(tmp_path, database)


@pytest.fixture(params=[True, False], ids=["c", "python"])
def in_c(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Run the test with the C, if it is built, and without it."""
    with contextlib.nullcontext() if request.param else not_built():
        yield request.param

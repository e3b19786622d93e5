"""Fixtures of the restorer's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from restore.tests.target import Target

if TYPE_CHECKING:
    from pathlib import Path
# What a test finds must not depend on how busy the machine is.
hypothesis.settings.register_profile(
    "restore", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("restore")


@pytest.fixture
def target(tmp_path: Path, database: Any) -> Target:
    """A fresh database with a schema, and an empty backup."""
    return Target(tmp_path, database)

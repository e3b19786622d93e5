"""Limits of the gate: ``[tool.harness.gate]`` in ``pyproject.toml`` of the current folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from harness.analysis.verdicts import MIN_EFFECT, MIN_MEMORY_EFFECT
from harness.model.errors import InputError

ROLLING = "rolling"
SETTINGS = Path("pyproject.toml")
TABLE = "tool.harness.gate"


class GateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much each measure may get worse, as shares: 0.05 is 5 %."""

    time: float = MIN_EFFECT
    memory: float = MIN_MEMORY_EFFECT
    success: float = 0.0


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The baseline and the limits: of all engines, and overrides for single ones."""

    baseline: str = ROLLING
    runs: int = 10
    time: float = MIN_EFFECT
    memory: float = MIN_MEMORY_EFFECT
    success: float = 0.0
    engine: dict[str, dict[str, float]] = {}

    def limits(self, engine: str) -> GateLimits:
        """Return the limits of one engine."""
        usual = {"time": self.time, "memory": self.memory, "success": self.success}
        return msgspec.convert({**usual, **self.engine.get(engine, {})}, GateLimits)


def load(path: Path = SETTINGS) -> GateSettings:
    """Read the settings, or return the defaults if there are none.

    Raises:
        InputError: they are invalid; the message names the file.
    """
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in TABLE.split("."):
            found = found.get(key, {})
        settings = msgspec.convert(found, GateSettings)
        limits = [settings.limits(engine) for engine in ("", *settings.engine)]
    except FileNotFoundError:
        return GateSettings()
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: [{TABLE}] is invalid: {error}") from error
    if settings.runs < 1 or any(min(msgspec.structs.astuple(each)) < 0 for each in limits):
        raise InputError(
            f"{path}: [{TABLE}] is invalid: runs must be at least 1, and limits at least 0"
        )
    return settings

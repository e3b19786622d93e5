"""The list of peers: their engines, versions, and what is missing to run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.blocks import Bullets, Column, Grid
from harness.report.units import NONE

if TYPE_CHECKING:
    from harness.engines.engine import Engine
    from harness.report.blocks import Block

_COLUMNS = (Column("engine", "left"), Column("version", "left"), Column("runs here", "left"))


def peers_report(engines: tuple[Engine, ...]) -> tuple[Block, ...]:
    """Lay out the engines of peers as a table, and below it what is missing."""
    rows = tuple(
        ((engine.name,), (engine.version or NONE,), ("no" if engine.missing else "yes",))
        for engine in engines
    )
    missing = tuple(f"{engine.name}: {engine.missing}" for engine in engines if engine.missing)
    return (Grid(_COLUMNS, rows), *((Bullets("Missing", missing),) if missing else ()))


def peers_data(engines: tuple[Engine, ...]) -> dict[str, Any]:
    """Return the same as data."""
    return {
        "engines": [
            {"engine": engine.name, "version": engine.version, "missing": engine.missing}
            for engine in engines
        ]
    }

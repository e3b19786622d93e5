"""Describes a prediction, for a terminal and for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.blocks import Column, Grid
from harness.report.units import rows_short, seconds, significant
from harness.scale.predict import BOUNDS
from harness.scale.work import Resource

if TYPE_CHECKING:
    from harness.report.blocks import Block
    from harness.scale.predict import Prediction
    from harness.scale.work import Hardware

_BITS = 8
# Below this, a time is shown in seconds with three digits.
_SHORT_S = 120
_RESOURCES = {
    Resource.CLIENT: "client CPU",
    Resource.SERVER: "server CPU",
    Resource.NETWORK: "network",
    Resource.DISK: "disk",
    Resource.INTERPRETER: "interpreter's lock",
    Resource.DECOMPRESSION: "decompression",
}


def prediction_report(of: Prediction) -> tuple[Block, ...]:
    """Lay out a prediction: the time, what bounds it, how much each resource is used."""
    outcome = of.outcome
    rows = rows_short(round(of.load.rows))
    head = f"{rows} records, {hardware_text(of.hardware)}, {of.load.jobs} connections: "
    tail_s = outcome.wall_s - outcome.loaded_s
    bounds = sorted(outcome.bound_s.items(), key=lambda item: -item[1])
    shares = tuple(
        ((BOUNDS[name],), (time_text(bound_s),), (f"{bound_s / of.wall_s:.0%}",))
        for name, bound_s in bounds
        if of.wall_s
    )
    used = tuple(
        ((_RESOURCES[resource],), (f"{used:.0%}",))
        for resource in Resource
        if (used := of.utilization(resource)) is not None and outcome.used[resource]
    )
    said = (
        f"{head}{time_text(of.wall_s)}, of which {time_text(tail_s)} after the last record is "
        f"loaded. Bound by {BOUNDS[outcome.bound]}.{longest_text(of)} {step_text(of)}"
    )
    return (
        said,
        Grid((Column("bound by", "left"), Column("time"), Column("share")), shares),
        Grid((Column("resource", "left"), Column("used on average")), used),
    )


def prediction_data(of: Prediction) -> dict[str, Any]:
    """Return the same as data."""
    longest = of.outcome.longest
    return {
        "kind": "scale",
        "schema": 1,
        "rows": round(of.load.rows),
        "jobs": of.load.jobs,
        "wall_s": of.wall_s,
        "loaded_s": of.outcome.loaded_s,
        "bound": of.outcome.bound,
        "bound_s": of.outcome.bound_s,
        "longest": None if longest is None else {"name": longest[0], "wall_s": longest[1]},
        "client_s": of.client_s,
        "server_s": of.server_s,
        "used": {resource.name.lower(): of.utilization(resource) for resource in Resource},
        "step": None if of.step is None else {"name": of.step.name, "wall_s": of.step.wall_s},
    }


def longest_text(of: Prediction) -> str:
    """Name the index or validation that takes longest."""
    if of.outcome.longest is None:
        return ""
    name, taken_s = of.outcome.longest
    return f" The longest build is {name}: {time_text(taken_s)}."


def step_text(of: Prediction) -> str:
    """Say what would help most."""
    if of.step is None:
        return "No single change of those that the model knows would save 5% of it."
    saved = 1 - of.step.wall_s / of.wall_s
    return f"Next step: {of.step.name}, {time_text(of.step.wall_s)} ({saved:.0%} less)."


def hardware_text(hardware: Hardware) -> str:
    """Describe machines in a few words."""
    disk = speed_text(hardware.disk_bytes_s)
    server = f"a server of {hardware.server_cores:g} cores and {disk} of disk"
    if not hardware.machines:
        return f"{server}, on which the restorer runs as well"
    noun = "machine" if hardware.machines == 1 else "machines"
    bits = hardware.network_bytes_s * _BITS / 1e9
    return (
        f"{server}, {hardware.machines} client {noun} of {hardware.client_cores:g} cores, "
        f"{bits:g} Gbit/s"
    )


def speed_text(bytes_s: float) -> str:
    """Format a bandwidth: ``500 MB/s``."""
    unit, size = ("GB/s", 1e9) if bytes_s >= 1e9 else ("MB/s", 1e6)  # noqa: PLR2004 - a unit
    return f"{bytes_s / size:g} {unit}"


def time_text(value_s: float) -> str:
    """Format a time: seconds with three digits, or minutes or hours with two."""
    if value_s < _SHORT_S:
        return seconds(value_s)
    if value_s < 2 * 3600:
        return f"{significant(value_s / 60, 2)} min"
    return f"{significant(value_s / 3600, 2)} h"

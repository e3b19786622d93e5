"""The arguments of a dataset, which generate it again byte for byte."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.errors import InputError

FAULTS = ("none", "realistic", "hostile")
STYLES = ("lines", "compact", "pretty")
COMPRESSIONS = ("none", "gz", "zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A dataset's arguments.

    Attributes:
        rows: The number of records over all tables.
        scenario: A folder of ``datasets/``.
        seed: The seed of the values.
        faults: The fault profile: ``none``, ``realistic`` or ``hostile``.
        style: The layout of the JSON: ``lines``, ``compact`` or ``pretty``.
        compress: ``none``, ``gz`` or ``zst``.

    Raises:
        InputError: An argument is invalid.
    """

    rows: int
    scenario: str = "business"
    seed: int = 0
    faults: str = "none"
    style: str = "lines"
    compress: str = "none"

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise InputError(f"--rows {self.rows} is out of range; write 0 or more")
        _one_of("fault profile", self.faults, FAULTS)
        _one_of("style", self.style, STYLES)
        _one_of("compression", self.compress, COMPRESSIONS)


def _one_of(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"unknown {what} {value!r}; choose from {', '.join(choices)}")

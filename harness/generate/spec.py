"""Which dataset is asked for: the arguments that make it again, byte for byte."""

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
        seed: Another seed, other values.
        faults: The fault profile: ``none``, ``realistic`` or ``hostile``.
        style: How the JSON is laid out: ``lines``, ``compact`` or ``pretty``.
        compress: ``none``, ``gz`` or ``zst``.

    Raises:
        InputError: An argument makes no sense.
    """

    rows: int
    scenario: str = "business"
    seed: int = 0
    faults: str = "none"
    style: str = "lines"
    compress: str = "none"

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise InputError(f"{self.rows} rows make no sense; ask for 0 or more")
        _one_of("fault profile", self.faults, FAULTS)
        _one_of("style", self.style, STYLES)
        _one_of("compression", self.compress, COMPRESSIONS)


def _one_of(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"there is no {what} {value!r}; choose one of {', '.join(choices)}")

"""Encodes and decodes the file of a run: validated both ways, older schemas included."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from harness.model.errors import HistoryError
from harness.model.record import SCHEMA_VERSION, Run

if TYPE_CHECKING:
    from collections.abc import Callable

# A list of numbers, such as the points of a curve, is written on one line. A JSON string never
# contains a line break.
_NUMBERS = re.compile(rb"\[\n\s*-?\d[-+.eE\d]*(?:,\n\s*-?\d[-+.eE\d]*)*\n\s*\]")

_MAX_FIGURE = 10**20  # seeds of 64 bits are below

_ID = re.compile(r"[0-9a-zA-Z-]{4,64}")

Fields = dict[str, Any]


class _Header(msgspec.Struct):
    """The field that determines how the rest of a file is read."""

    schema: int


def _from_1(run: Fields) -> Fields:
    """Upgrade from schema 1, whose trials lack ``noise`` and ``repeated``: the defaults apply."""
    return {**run, "schema": 2}


# Upgrades a run from each older schema to the next.
UPGRADES: dict[int, Callable[[Fields], Fields]] = {1: _from_1}


def encode(run: Run) -> bytes:
    """Encode a run as its file, and validate the result by decoding it.

    Raises:
        HistoryError: the record is invalid.
    """
    spread = msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"
    content = _NUMBERS.sub(lambda found: b"[%b]" % b" ".join(found[0][1:-1].split()), spread)
    try:
        decode(content)
    except HistoryError as error:
        raise HistoryError(f"run {run.id} cannot be recorded: {error}") from error
    return content


def decode(content: bytes) -> Run:
    """Decode a run from the bytes of its file.

    Raises:
        HistoryError: the schema is unknown, or the record is invalid.
    """
    try:
        schema = msgspec.json.decode(content, type=_Header).schema
        if schema == SCHEMA_VERSION:
            run = msgspec.json.decode(content, type=Run)
        else:
            run = msgspec.convert(_upgraded(content, schema), Run)
    # Arrays nested thousands deep raise the last.
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise HistoryError(f"not a valid record of a run ({error})") from error
    if not _ID.fullmatch(run.id):
        raise HistoryError(f"id {run.id!r} is not 4 to 64 letters, digits and dashes")
    try:
        instant(run)
    except (ValueError, OverflowError) as error:  # the year 1, east of UTC, has none there
        raise HistoryError(f"started_at {run.started_at!r} is not a time") from error
    if _largest(run) > _MAX_FIGURE:
        raise HistoryError("a figure of it has more than 20 digits, which nothing measured has")
    return run


def _largest(value: object) -> float:
    """Return the largest absolute number in a record; JSON has integers of any length."""
    if isinstance(value, int | float):
        return abs(value)
    if isinstance(value, msgspec.Struct):
        return max(map(_largest, msgspec.structs.astuple(value)), default=0)
    if isinstance(value, dict):
        return max(map(_largest, value.values()), default=0)
    if isinstance(value, tuple | list):
        return max(map(_largest, value), default=0)
    return 0


class RunKey(Protocol):
    """The fields that name a run: of a record, or of its entry in the index."""

    @property
    def id(self) -> str:
        """Return its id."""

    @property
    def started_at(self) -> str:
        """Return its start, as recorded."""


def instant(run: RunKey) -> datetime:
    """Return when a run started, in UTC."""
    return datetime.fromisoformat(run.started_at).astimezone(UTC)


def json_schema() -> bytes:
    """Return the JSON Schema of a run's file, as ``docs/run.schema.json`` publishes it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A recorded run of restorebench, schema {SCHEMA_VERSION}",
        **msgspec.json.schema(Run),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def _upgraded(content: bytes, schema: int) -> Fields:
    """Upgrade a run of an older schema to the current one."""
    if schema > SCHEMA_VERSION or schema not in UPGRADES:
        raise HistoryError(
            f"schema {schema} is not one of 1 to {SCHEMA_VERSION}, which this program reads; "
            "read it with the version that wrote it"
        )
    # The engines' reports are preserved byte for byte.
    reports = msgspec.json.decode(content, type=_Reports).trials
    fields: Fields = msgspec.json.decode(content)
    for trial, kept in zip(fields["trials"], reports, strict=True):
        trial["report"] = kept.report
    while schema < SCHEMA_VERSION:
        fields = UPGRADES[schema](fields)
        schema += 1
    return fields


class _TrialReport(msgspec.Struct):
    """The engine's report of a trial."""

    report: msgspec.Raw = msgspec.Raw(b"null")


class _Reports(msgspec.Struct):
    """The trials of a run of any schema."""

    trials: list[_TrialReport]

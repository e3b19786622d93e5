"""A run as the bytes of its file, and back: validated both ways, and read in every older schema."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from harness.model.errors import HistoryError
from harness.model.record import SCHEMA_VERSION, Run

if TYPE_CHECKING:
    from collections.abc import Callable

# A list of nothing but numbers, as the points of a curve are, stands on one line. A string of JSON
# never has a line break in it.
_NUMBERS = re.compile(rb"\[\n\s*-?\d[-+.eE\d]*(?:,\n\s*-?\d[-+.eE\d]*)*\n\s*\]")

_ID = re.compile(r"[0-9a-zA-Z-]{4,64}")

Fields = dict[str, Any]


class _Header(msgspec.Struct):
    """What tells how the rest of a file is to be read."""

    schema: int


def _from_1(run: Fields) -> Fields:
    """Schema 2 added ``noise`` and ``repeated`` to trials, and ``chaos``: unknown, no, none."""
    return {**run, "schema": 2}


# How a run of each older schema becomes one of the next.
UPGRADES: dict[int, Callable[[Fields], Fields]] = {1: _from_1}


def encode(run: Run) -> bytes:
    """Turn a run into the bytes of its file, having read them back as any reader would.

    Raises:
        HistoryError: it makes no valid record.
    """
    spread = msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"
    content = _NUMBERS.sub(lambda found: b"[%b]" % b" ".join(found[0][1:-1].split()), spread)
    try:
        decode(content)
    except HistoryError as error:
        raise HistoryError(f"run {run.id} makes no valid record: {error}") from error
    return content


def decode(content: bytes) -> Run:
    """Turn a file's bytes into a run, if its schema is one that this program knows.

    Raises:
        HistoryError: it is not, or the record is not valid.
    """
    try:
        schema = msgspec.json.decode(content, type=_Header).schema
        if schema == SCHEMA_VERSION:
            run = msgspec.json.decode(content, type=Run)
        else:
            run = msgspec.convert(_upgraded(content, schema), Run)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise HistoryError(f"it is no valid record of a run ({error})") from error
    if not _ID.fullmatch(run.id):
        raise HistoryError(f"its id {run.id!r} is not 4 to 64 letters, digits and dashes")
    try:
        instant(run)
    except ValueError as error:
        raise HistoryError(f"its started_at {run.started_at!r} is no instant") from error
    return run


class RunKey(Protocol):
    """What names a run: a record, or its entry in the index."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def started_at(self) -> str:
        """When it started, as records keep it."""


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
    """Return a run of an older schema as one of this."""
    if schema > SCHEMA_VERSION or schema not in UPGRADES:
        raise HistoryError(
            f"its schema is {schema} and this program reads 1 to {SCHEMA_VERSION}; "
            "read it with the version that wrote it"
        )
    # The engines' reports are kept as they were written, byte for byte.
    reports = msgspec.json.decode(content, type=_Reports).trials
    fields: Fields = msgspec.json.decode(content)
    for trial, kept in zip(fields["trials"], reports, strict=True):
        trial["report"] = kept.report
    while schema < SCHEMA_VERSION:
        fields = UPGRADES[schema](fields)
        schema += 1
    return fields


class _TrialReport(msgspec.Struct):
    """Of a trial, what the engine said of itself."""

    report: msgspec.Raw = msgspec.Raw(b"null")


class _Reports(msgspec.Struct):
    """The trials of a run, whatever its schema."""

    trials: list[_TrialReport]

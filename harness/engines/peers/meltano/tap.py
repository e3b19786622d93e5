"""A Singer tap for files that hold an array of records: a stream for each file.

Built on Meltano's SDK, and told its schemas. Files are read record by record.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ijson
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

from harness.engines.shared.command import opened

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBERS = {"integer": int, "number": Decimal}


class File(Stream):
    """The records of a file."""

    def __init__(self, tap: Tap, file: dict[str, Any]) -> None:
        super().__init__(tap, name=file["name"], schema=file["schema"])
        self.primary_keys = file["key_properties"]
        self._path = Path(file["path"])
        types = {name: each["type"][0] for name, each in file["schema"]["properties"].items()}
        self._numbers = {name: _NUMBERS[kind] for name, kind in types.items() if kind in _NUMBERS}

    def get_records(self, context: object) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        """Yield the records."""
        with opened(self._path) as stream:
            yield from ijson.items(stream, "item")

    def post_process(
        self,
        row: dict[str, Any],
        context: object = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Read numbers that are written as text, as backups write large ones."""
        for name, number in self._numbers.items():
            if isinstance(row.get(name), str):
                row[name] = number(row[name])
        return row


class TapJson(Tap):
    """The tap."""

    name = "tap-json"
    config_jsonschema = th.PropertiesList(
        th.Property(
            "files",
            th.ArrayType(
                th.ObjectType(
                    th.Property("name", th.StringType, required=True),
                    th.Property("path", th.StringType, required=True),
                    th.Property("schema", th.ObjectType(additional_properties=True)),
                    th.Property("key_properties", th.ArrayType(th.StringType)),
                )
            ),
            required=True,
        ),
    ).to_dict()

    def discover_streams(self) -> list[File]:
        """Return a stream for each file."""
        return [File(self, file) for file in self.config["files"]]


if __name__ == "__main__":
    TapJson.cli()

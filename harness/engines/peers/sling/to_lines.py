"""Table files as JSON lines: reads each array of records as a stream, and writes it to a pipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ijson

from harness.engines.shared.command import opened


def main(paths: list[str]) -> None:
    """Write the records of each file, one a line; each file's name is followed by its pipe's."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for file, pipe in zip(paths[::2], paths[1::2], strict=True):
        with opened(Path(file)) as stream, Path(pipe).open("wb") as lines:
            records = ijson.items(stream, "item", use_float=True)
            lines.writelines(encode(record).encode() + b"\n" for record in records)


if __name__ == "__main__":
    main(sys.argv[1:])

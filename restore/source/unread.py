"""Handles the files in a backup's folder that are not table files: names them, or refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restore.errors import BackupError
from restore.source.foreign import foreign_format
from restore.source.table_file import START_BYTES
from restore.text import escape_controls, first_few, shell_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restore.options import Options
    from restore.remote.path import BackupPath

_JSON = re.compile(r"(?P<table>.+?)\.(?:nd)?json", re.IGNORECASE | re.DOTALL)
# What datasets of this project have beside their tables.
_SCHEMA = "schema.sql"
_CHECKSUMS = frozenset({".asc", ".md5", ".sha1", ".sha256", ".sha512", ".sig"})
_MOST_NAMED = 5


def is_hidden(path: BackupPath) -> bool:
    """Tell if a file is hidden, as those of macOS and editors are."""
    return path.name.startswith(".")


def names_of(path: BackupPath) -> frozenset[str]:
    """Return the names, in lower case, by which an option may mean a file that is not read."""
    name = path.name.lower()
    match = _JSON.match(name)
    return frozenset({name, name.partition(".")[0], *([match["table"]] if match else [])})


def lowered(names: Iterable[str]) -> frozenset[str]:
    """Return names in lower case."""
    return frozenset(name.lower() for name in names)


def describe(path: BackupPath) -> tuple[str, str]:
    """Return the kind of a file that is not read, and how to have it restored."""
    if path.is_dir():
        return "a folder", "restore it by itself, or move its files"
    start = _start(path)
    if (known := foreign_format(start)) is not None:
        return known
    if start[:1] in {b"[", b"{"}:
        return "JSON under another ending", "rename it to end in .json or .jsonl"
    ending = f"a {escape_controls(path.suffix)} file" if path.suffix else "a file without an ending"
    return ending, "export the table again, as JSON"


def _start(path: BackupPath) -> bytes:
    try:
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as file:
                return file.read(START_BYTES).lstrip()
    except OSError:
        pass
    return b""


def check_unread(
    paths: Sequence[BackupPath], tables: frozenset[str], taken: frozenset[str], options: Options
) -> list[str]:
    """Return a line for each file that is left out.

    Args:
        paths: what stands in the backup's folder and is not read.
        tables: the names of the target's tables, in small letters.
        taken: those of them that have a table file, in small letters.
        options: the tables and files that were chosen or left out.

    Raises:
        BackupError: some seem to hold tables, and no option leaves them out.
    """
    lines, stopping = [], []
    chosen, excluded = lowered(options.tables), lowered(options.exclude)
    for path in paths:
        names = names_of(path)
        if is_hidden(path):
            lines.append(f"{path.name}: hidden")
        elif names & excluded:
            lines.append(f"{path.name}: excluded")
        elif chosen and not names & chosen:
            lines.append(f"{path.name}: not among --tables")
        elif _may_hold_table(path, tables, taken):
            stopping.append(path)
        else:
            lines.append(f"{path.name}: {'a folder' if path.is_dir() else 'no table file'}")
    if stopping:
        raise BackupError(_refusal(stopping))
    return lines


def _may_hold_table(path: BackupPath, tables: frozenset[str], taken: frozenset[str]) -> bool:
    if path.name == _SCHEMA:
        return False
    if path.suffix.lower() in _CHECKSUMS and path.with_suffix("").exists():
        return False
    stem = path.name.partition(".")[0].lower()
    if path.is_dir() and stem in taken:
        return False
    return stem in tables or _JSON.match(path.name) is not None


def _refusal(paths: list[BackupPath]) -> str:
    kind, advice = describe(paths[0])
    more = [escape_controls(path.name) for path in paths[1:]]
    others = first_few(more, _MOST_NAMED)
    excludes = first_few(
        [shell_option("--exclude", path.name) for path in paths], _MOST_NAMED + 1, " "
    )
    name = escape_controls(paths[0].name)
    return (
        f"cannot restore {name}{f', nor {others}' if others else ''}: it is {kind};"
        f" {advice}, or leave {'them' if more else 'it'} out with {excludes}"
    )

"""Infers the schema of a backup, without a database."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from restore.infer.schema import infer_schema
from restore.infer.statements import script
from restore.source.discovery import find_backup
from restore.source.standard_input import STANDARD_INPUT, kept_standard_input

if TYPE_CHECKING:
    from restore.options import Options
    from restore.report.events import ProgressCallback


class InferredScript(NamedTuple):
    """A schema as a script for psql.

    Attributes:
        text: the script.
        tables: how many tables it creates.
        left_out: a line for each file or key that is no table.
        warnings: a line for each thing that is odd about the backup.
        unreadable: records, or damage between them, that no table takes.
    """

    text: str
    tables: int
    left_out: list[str]
    warnings: list[str]
    unreadable: int


def infer(
    options: Options, watch: ProgressCallback = lambda _: None, sample: int | None = None
) -> InferredScript:
    """Infer the schema of a backup.

    Args:
        options: the backup, its tables and their names; no target is needed.
        watch: receives progress.
        sample: look at so many records of each table; None: at all.

    Raises:
        RestoreError: there is no backup, or it holds something else than records of tables.
    """
    with contextlib.ExitStack() as stack:
        path = options.backup
        if path == STANDARD_INPUT:
            path = stack.enter_context(kept_standard_input())
        backup = find_backup(path, options.format)
        schema = infer_schema(backup, options, watch, sample)
    return InferredScript(
        script(schema, str(backup.path)),
        len(schema.tables),
        [*backup.left_out, *schema.left_out],
        list(backup.warnings),
        sum(table.unreadable for table in schema.tables),
    )

"""Writes a report as a page of HTML for people: self-contained, and nothing in it is executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from restore.report.render import (
    TABLE_COLUMNS,
    headline,
    loss_lines,
    note_lines,
    reason_place,
    table_names,
    table_rows,
)
from restore.text import clip, duration, escape_controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restore.report.model import Report, TableReport

_LONGEST_MESSAGE = 1_000


class ShownReject(Protocol):
    """What is shown of a reject."""

    @property
    def ordinal(self) -> int | None:
        """Its place among the file's records, from 0."""

    @property
    def offset(self) -> int | None:
        """Its place in the file, in bytes."""

    @property
    def message(self) -> str:
        """Why it was refused."""

    @property
    def raw(self) -> str | None:
        """The record."""


def render_page(report: Report, firsts: Mapping[int, Mapping[int, Sequence[ShownReject]]]) -> str:
    """Render a report as HTML.

    Args:
        report: what the restore did.
        firsts: by the index of the table and of its reason, the rejects to show.
    """
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415 - few need it

    environment = Environment(
        loader=PackageLoader("restore.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = table_names(report)
    state, _, what = headline(report).partition(": ")
    longest_s = max((table.wall_s for table in report.tables), default=0.0)
    return environment.get_template("page.html").render(
        title=f"Restore of {escape_controls(report.backup)}",
        state=state,
        what=what,
        complete=report.complete,
        error=report.error and escape_controls(report.error),
        facts=[escape_controls(fact) for fact in _facts(report)],
        columns=TABLE_COLUMNS[1:],
        rows=[
            {"name": name, "cells": cells, "share": _share(table.wall_s, longest_s)}
            for (name, *cells), table in zip(table_rows(report), report.tables, strict=True)
        ],
        losses=[
            loss
            for place, table in enumerate(report.tables)
            if (loss := _loss(names[place], table, firsts.get(place, {})))
        ],
        rejects=escape_controls(report.rejects or ""),
        notes=list(note_lines(report)),
        steps=[_step(step) for step in report.next_steps],
    )


def _facts(report: Report) -> list[str]:
    """Return what the figures depend on."""
    facts = [report.server, f"{duration(report.wall_s)} in all"]
    facts.append("records packed in C" if report.native else "records packed in Python")
    return [fact for fact in facts if fact]


def _share(wall_s: float, longest_s: float) -> int:
    return round(100 * wall_s / longest_s) if longest_s > 0 else 0


def _loss(
    name: str, table: TableReport, firsts: Mapping[int, Sequence[ShownReject]]
) -> dict[str, Any] | None:
    """Return what a table lost and why, the most frequent reason first."""
    lines = list(loss_lines(table))
    if not (lines or table.reasons):
        return None
    ranked = sorted(enumerate(table.reasons), key=lambda each: -each[1].count)
    reasons = [
        {
            "count": f"{reason.count:,}",
            "text": _message(reason.reason),
            "kind": reason.kind,
            "sqlstate": reason.sqlstate,
            "first": reason_place(reason),
            "rejects": [
                {
                    "place": _place(reject),
                    "message": _message(reject.message),
                    "raw": escape_controls(reject.raw or ""),
                }
                for reject in firsts.get(index, ())
            ],
        }
        for index, reason in ranked
    ]
    return {"name": name, "lines": [", ".join(lines)] if lines else [], "reasons": reasons}


def _place(reject: ShownReject) -> str:
    if reject.ordinal is None:
        return "a row whose record was not found again"
    return f"record {reject.ordinal:,} at byte {reject.offset:,}"


def _message(text: str) -> str:
    return clip(escape_controls(text), _LONGEST_MESSAGE)


def _step(step: str) -> dict[str, Any]:
    sentence, *typed = (escape_controls(line) for line in step.split("\n"))
    return {"sentence": sentence, "typed": typed}

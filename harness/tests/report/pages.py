"""Reads pages, and makes runs to draw: recorded ones, of which some trials are changed."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.history.store import read
from harness.model.record import Status

if TYPE_CHECKING:
    from harness.model.record import Curve, Run, TableResult, Trial

VOID = frozenset({"meta", "br", "input"})
PUBLISHED = Path(__file__).parents[3] / "results" / "20261129T004824Z-6f96d745.json"

replace = msgspec.structs.replace


class Page(HTMLParser):
    """Reads a page: its texts, its elements, and whether each one is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not (self.get_starttag_text() or "").endswith("/>") or self.open[-1] == tag:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def recorded() -> Run:
    """Return a published run of 100,000 rows with four engines, six rounds and a warm-up."""
    return read(PUBLISHED)


def scaled(run: Run, factor: int, **fields: object) -> Run:
    """Return a run as if of so many times the rows, with times in proportion, memory constant."""
    dataset = replace(run.dataset, rows=run.dataset.rows * factor)
    trials = tuple(_scaled(trial, factor) for trial in run.trials)
    return replace(run, dataset=dataset, trials=trials, **fields)


def _scaled(trial: Trial, factor: int) -> Trial:
    def longer(curve: Curve | None) -> Curve | None:
        return curve and replace(curve, at_s=tuple(at_s * factor for at_s in curve.at_s))

    def larger(table: TableResult) -> TableResult:
        expected = table.expected * factor
        return replace(table, expected=expected, found=expected, right=expected)

    return replace(
        trial,
        wall_s=(trial.wall_s or 0) * factor,
        curve=longer(trial.curve),
        server_curve=longer(trial.server_curve),
        tables=tuple(map(larger, trial.tables)),
    )


def failing(run: Run) -> Run:
    """Return a run with failures of three kinds.

    legacy runs out of memory, its older driver reaches the time limit, and restore loses half of
    the rows in round 3.
    """

    def changed(trial: Trial) -> Trial:
        lost = tuple(replace(table, found=0, right=0) for table in trial.tables)
        half = tuple(replace(each, found=each.found // 2, right=None) for each in trial.tables)
        if trial.engine == "legacy":
            fields = {"status": Status.OOM, "detail": "stopped above 16 GiB", "tables": lost}
        elif trial.engine == "legacy-psycopg2":
            fields = {"status": Status.TIMEOUT, "detail": "stopped after 1,800 s", "wall_s": 1800.0}
        elif trial.engine == "restore" and trial.round == 3 and not trial.repeated:
            fields = {"status": Status.WRONG_RESULT, "detail": "rows are lost", "tables": half}
        else:
            return trial
        return replace(trial, **fields)

    return replace(run, trials=tuple(map(changed, run.trials)))


def mixed() -> list[Run]:
    """Return runs of three sizes; at the largest, trials fail in several ways."""
    small = recorded()
    middle = scaled(small, 10, id="aaaa0010", started_at="2026-11-28T01:00:00+00:00")
    large = scaled(small, 100, id="aaaa0100", started_at="2026-11-28T02:00:00+00:00")
    return [small, middle, failing(large)]

"""Charts with a row for each engine: every trial a point, the median and its interval.

A row is HTML with a strip of SVG in it, so that text keeps its size on every screen and a row that
is filtered out leaves no gap. Each strip is made on a linear and on a logarithmic axis; the style
sheet shows one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.stats import median_interval, summarize
from harness.model.record import Status
from harness.report.cells import uncertainty
from harness.report.html.scale import linear, logarithmic
from harness.report.units import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.analysis.figures import RunFigures
    from harness.analysis.stats import Ratio
    from harness.model.record import Trial
    from harness.report.html.engines import Look
    from harness.report.html.measures import Measure
    from harness.report.html.scale import Scale

# A strip is narrow: so many gridlines, and so many pixels on a small screen.
_TICKS, _SHARE_TICKS = 5, 3
_WIDTH = 130

# Points of one row stand on so many lines, so that equal figures do not hide each other.
_LANES = 3

STATUS_NAMES = {
    Status.OOM: "out of memory",
    Status.TIMEOUT: "timeout",
    Status.WRONG_RESULT: "wrong result",
    Status.ERROR: "error",
    Status.KILLED: "killed",
    Status.SKIPPED: "skipped",
    Status.INTERRUPTED: "interrupted",
}

# What stands for a status in a chart; each differs in shape, not in colour alone.
_SIGNS = {
    Status.OK: "ok",
    Status.OOM: "oom",
    Status.TIMEOUT: "timeout",
    Status.WRONG_RESULT: "wrong",
}


@dataclass(frozen=True, slots=True)
class Dot:
    """A point: its place in percent, its lane, the shape of its status, and its text."""

    at: float
    lane: int
    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """What is drawn of one row on one axis, in percent; ``bar`` is an interval."""

    scale: Scale
    dots: tuple[Dot, ...]
    middle: float | None
    bar: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Row:
    """One engine's row: its look, its figure and the range below, what failed, the strips."""

    look: Look
    value: str
    spread: str
    failures: tuple[str, ...]
    strips: tuple[Strip, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows on common axes."""

    key: str
    title: str
    note: str
    scales: tuple[Scale, ...]
    rows: tuple[Row, ...]
    unit: float | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    """The trials of one engine that have a figure."""

    look: Look
    trials: tuple[tuple[Trial, float], ...]

    @property
    def ok(self) -> list[float]:
        return [value for trial, value in self.trials if trial.status is Status.OK]


def measured(of: RunFigures, measure: Measure, looks: Mapping[str, Look]) -> Chart | None:
    """Draw a figure of all trials of a run; None if there is none."""
    names = {each.engine for each in of.engines}
    samples = [
        _sample(of, measure, look)
        for engine, look in looks.items()
        if engine in names and of.samples(engine).trials
    ]
    values = [value for sample in samples for _, value in sample.trials]
    if not values:
        return None
    scales = _scales(values, measure)
    rows = tuple(_row(of, measure, sample, scales) for sample in samples)
    return Chart(measure.key, measure.title, measure.better, tuple(scales), rows)


def _scales(values: Sequence[float], measure: Measure) -> list[Scale]:
    """Return a linear axis, and a logarithmic one unless the figure is a share."""
    ticks = _TICKS if measure.most is None else _SHARE_TICKS
    found = [linear(values, measure.tick, measure.most, ticks)]
    if measure.most is None and (log := logarithmic(values, measure.tick, _TICKS)) is not None:
        found.append(log)
    return [scale.thinned(_WIDTH) for scale in found]


def _sample(of: RunFigures, measure: Measure, look: Look) -> _Sample:
    own = of.samples(look.engine)
    drawn = own.trials if measure.with_failures else own.ok
    found = ((trial, measure.figure(trial)) for trial in drawn)
    return _Sample(
        look,
        tuple((trial, value) for trial, value in found if value is not None),
    )


def _row(of: RunFigures, measure: Measure, sample: _Sample, scales: Sequence[Scale]) -> Row:
    own = of.samples(sample.look.engine)
    value, spread = _middle_text(of, measure, sample)
    # The median is not known if timeouts hide it.
    is_hidden = own.at_least_s is not None and measure.key in {"time", "rate"}
    middle = None if is_hidden else summarize(sample.ok)
    bar = None if middle is None else median_interval(sample.ok)
    strips = tuple(
        Strip(
            scale,
            tuple(_dot(scale, measure, place, *each) for place, each in enumerate(sample.trials)),
            None if middle is None else scale.at(middle.median),
            _placed(scale, bar),
        )
        for scale in scales
    )
    return Row(sample.look, value, spread, counted(own.trials), strips)


def _middle_text(of: RunFigures, measure: Measure, sample: _Sample) -> tuple[str, str]:
    """Return the median as text, and the range; the same figures as in the tables."""
    figures = of.engine(sample.look.engine)
    if measure.key == "time" and figures is not None and figures.at_least_s is not None:
        return f"> {measure.text(figures.at_least_s)}", ""
    if measure.key == "rate" and figures is not None:
        return (NONE if figures.rows_per_s is None else measure.text(figures.rows_per_s)), ""
    if measure.key == "rows" and figures is not None and figures.success is not None:
        return measure.text(figures.success.rate), ""
    middle = summarize(sample.ok)
    if middle is None:
        return NONE, ""
    return measure.text(middle.median), measure.spread(middle)


def _dot(scale: Scale, measure: Measure, place: int, trial: Trial, value: float) -> Dot:
    is_ok = trial.status is Status.OK
    status = "" if is_ok else f", {STATUS_NAMES[trial.status]}"
    limit = "stopped at " if trial.status is Status.TIMEOUT and measure.key == "time" else ""
    text = f"round {trial.round}: {limit}{measure.text(value)}{status}"
    return Dot(scale.at(value), place % _LANES, sign_of(trial.status), text)


def sign_of(status: Status) -> str:
    """Return the name of the shape that stands for a status."""
    return _SIGNS.get(status, "failed")


def counted(trials: Iterable[Trial]) -> tuple[str, ...]:
    """Count the trials that are not ok by status: ``3x out of memory``."""
    statuses = [trial.status for trial in trials if trial.status is not Status.OK]
    return tuple(
        f"{statuses.count(status)}x {STATUS_NAMES[status]}" for status in dict.fromkeys(statuses)
    )


def ratios(
    found: Mapping[str, tuple[Ratio | None, float | None]],
    looks: Mapping[str, Look],
    measure: Measure,
) -> Chart | None:
    """Draw the ratio of each engine, with its interval, on axes where 1 is marked.

    Args:
        found: each engine's ratio, or a lower bound of it.
        looks: how engines look.
        measure: how a ratio is formatted, and the chart's heading.
    """
    known = {engine: pair for engine, pair in found.items() if pair != (None, None)}
    if not known:
        return None
    values = [1.0]
    for of, bound in known.values():
        values += [bound or 1.0] if of is None else [of.value, of.low or of.value, of.high or 1.0]
    scales = _scales(values, measure)
    rows = tuple(
        _ratio_row(looks[engine], *known[engine], scales, measure)
        for engine in looks
        if engine in known
    )
    doubts = {uncertainty(of) for of, _ in known.values() if of is not None and of.is_descriptive}
    note = "; ".join((measure.better, *doubts))
    return Chart(measure.key, measure.title, note, tuple(scales), rows, unit=1.0)


def _ratio_row(
    look: Look, of: Ratio | None, bound: float | None, scales: Sequence[Scale], measure: Measure
) -> Row:
    if of is None:
        at_least = bound or 1.0
        text = f"> {measure.text(at_least)}"
        dots = [Dot(scale.at(at_least), 1, "timeout", text) for scale in scales]
        strips = (Strip(scale, (dot,), None, None) for scale, dot in zip(scales, dots, strict=True))
        return Row(look, text, "", (STATUS_NAMES[Status.TIMEOUT],), tuple(strips))
    bar = None if of.low is None or of.high is None else (of.low, of.high)
    spread = "" if bar is None else f"{measure.text(bar[0])}-{measure.text(bar[1])}"
    strips = (Strip(scale, (), scale.at(of.value), _placed(scale, bar)) for scale in scales)
    doubt = "" if of.is_descriptive else uncertainty(of)  # said once, over the chart
    return Row(look, measure.text(of.value), doubt or spread, (), tuple(strips))


def _placed(scale: Scale, bar: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if bar is None else (scale.at(bar[0]), scale.at(bar[1]))

"""What the README promises is there: its first commands, and the figures of published runs."""

from __future__ import annotations

import re
from pathlib import Path

from harness.analysis.figures import figures
from harness.history.store import History
from harness.report.blocks import to_markdown
from harness.report.run import published

CHECKOUT = Path(__file__).parents[2]
RESULTS = re.compile(r"<!-- results:start -->\n(.*?)<!-- results:end -->", re.DOTALL)


def test_the_two_lines_that_a_newcomer_types() -> None:
    lines = (CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "python -m pip install nox && nox -s bench" in lines
    assert "python -m pip install nox && nox -s tests" in lines


def test_the_published_figures_are_those_of_the_newest_run_of_each_profile() -> None:
    """Take the first two blocks of ``history RUN --results results --format markdown``."""
    found = RESULTS.search((CHECKOUT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    runs = History(CHECKOUT / "results").runs().runs
    if runs:
        assert found[1].strip() == to_markdown(published([figures(run) for run in runs])).strip()
    else:
        assert found[1].startswith("No published run yet")


def test_published_runs_can_be_read() -> None:
    assert History(CHECKOUT / "results").runs().unreadable == ()

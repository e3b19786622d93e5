"""What the documents promise is there: commands, files, and the figures of a published run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from harness.analysis.figures import figures
from harness.cli.app import _parser
from harness.history.store import History
from harness.report.blocks import to_markdown
from harness.report.run import published

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/*.md")]

LINK = re.compile(r"\]\(([^)#]+)\)")
COMMAND = re.compile(r"(?:python -m harness|db-restore-benchmark) ([a-z][^`\n]+)")
RESULTS = re.compile(r"<!-- results:start -->\n(.*?)<!-- results:end -->", re.DOTALL)


def name(path: Path) -> str:
    return path.name


def test_the_two_lines_that_a_newcomer_types() -> None:
    lines = (CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "    python -m pip install nox && nox -s bench" in lines
    assert "    python -m pip install nox && nox -s tests" in lines


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_of_the_harness_are_understood(path: Path) -> None:
    for line in COMMAND.findall(path.read_text(encoding="utf-8")):
        words = shlex.split(line.partition(" > ")[0])
        if words[0].isupper():
            continue  # a placeholder
        _parser(words).parse_args(words)


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

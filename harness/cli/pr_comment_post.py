"""``python -m harness pr-comment-post``: puts the comparison on its pull request, as one comment.

It runs in a workflow of its own that may write, after the workflow that measured, which may not.
Which pull request it is, and which commit, comes from the event; from the artifact of the run, only
the comparison.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.ci.event import read_event
from harness.ci.github import API, GitHub, GitHubError
from harness.cli.output import say
from harness.model.errors import ExitCode, InputError
from harness.report.comment import MARKER, MAX_BYTES, comment, no_comparison, read_comparison

if TYPE_CHECKING:
    import argparse

    from harness.ci.event import WorkflowRun

ARTIFACT = "comparison"
FILE = "comparison.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``pr-comment-post``."""
    add = parser.add_argument
    add(
        "--event",
        type=Path,
        metavar="FILE",
        default=os.environ.get("GITHUB_EVENT_PATH"),
        help="the event workflow_run (default GITHUB_EVENT_PATH)",
    )
    add(
        "--api",
        metavar="URL",
        default=os.environ.get("GITHUB_API_URL", API),
        help="address of GitHub's API (default GITHUB_API_URL); the token is GITHUB_TOKEN",
    )


def run(given: argparse.Namespace) -> ExitCode:
    """Write the comment, or replace the one that is there.

    Raises:
        HarnessError: the event cannot be read, or the API refuses.
    """
    if given.event is None:
        raise InputError("there is no event; name its file with --event")
    event = read_event(Path(given.event))
    github = GitHub(event.repository.full_name, os.environ.get("GITHUB_TOKEN"), given.api)
    number = github.pull_request(event)
    if number is None:
        say("no open pull request has this head any more: nothing to comment")
        return ExitCode.OK
    replaced = github.comment(number, _text(github, event.workflow_run), MARKER)
    say(f"comment on #{number} {'replaced' if replaced else 'written'}")
    return ExitCode.OK


def _text(github: GitHub, of: WorkflowRun) -> str:
    """Return the text for a run, which may have left no comparison or one that is none."""
    try:
        content = github.artifact(of.id, ARTIFACT, FILE, MAX_BYTES)
        if content is None:
            return no_comparison("the run made no comparison", head=of.head_sha, url=of.html_url)
        return comment(read_comparison(content), head=of.head_sha, url=of.html_url)
    except (GitHubError, InputError) as error:
        say(f"warning: {error}")
        return no_comparison("its result cannot be read", head=of.head_sha, url=of.html_url)

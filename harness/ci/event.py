"""The event that a workflow on GitHub runs for, as far as a comment needs it.

Only what GitHub itself says is taken from here: for a pull request of a fork, all else that a run
leaves behind is the fork's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.model.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


class Repository(msgspec.Struct, frozen=True):
    """A repository, by its owner and name: ``owner/name``."""

    full_name: str


class WorkflowRun(msgspec.Struct, frozen=True):
    """A finished run of another workflow, and the head that it ran for."""

    id: int
    event: str
    html_url: str
    head_sha: str
    head_branch: str
    head_repository: Repository


class Event(msgspec.Struct, frozen=True):
    """The event ``workflow_run``."""

    repository: Repository
    workflow_run: WorkflowRun


def read_event(path: Path) -> Event:
    """Read the file that ``GITHUB_EVENT_PATH`` names.

    Raises:
        InputError: it cannot be read, or is another event.
    """
    try:
        event = msgspec.json.decode(path.read_bytes(), type=Event)
    except OSError as error:
        raise InputError(f"cannot read the event {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path} is no event of the kind workflow_run: {error}") from error
    if event.workflow_run.event != "pull_request":
        raise InputError(f"{path}: the run was for {event.workflow_run.event}, not pull_request")
    return event

"""GitHub's REST API, as far as one comment on a pull request needs it.

Every answer is bounded in size, every list in pages, and every request in time. The token is sent
to the API alone, not to where it redirects downloads.
"""

from __future__ import annotations

import http.client
import io
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.ci.event import Event

T = TypeVar("T")

API = "https://api.github.com"

# Who comments with the token of a workflow.
BOT = "github-actions[bot]"

TIMEOUT_S = 30
MAX_ANSWER_BYTES = 10_000_000
MAX_ARTIFACT_BYTES = 1_000_000
_PAGE = 100
_MAX_PAGES = 30


class GitHubError(HarnessError):
    """The API refused a request, or gave no valid answer."""


class _Head(msgspec.Struct, frozen=True):
    class Repository(msgspec.Struct, frozen=True):
        full_name: str

    sha: str
    repo: Repository | None = None  # None if the fork was deleted


class _PullRequest(msgspec.Struct, frozen=True):
    number: int
    head: _Head


class _Artifact(msgspec.Struct, frozen=True):
    id: int
    name: str
    size_in_bytes: int
    expired: bool = False


class _Artifacts(msgspec.Struct, frozen=True):
    artifacts: list[_Artifact]


class _User(msgspec.Struct, frozen=True):
    login: str


class _Comment(msgspec.Struct, frozen=True):
    id: int
    body: str | None = None
    user: _User | None = None


class GitHub:
    """One repository on GitHub.

    Args:
        repository: its owner and name.
        token: the token of the workflow; None for a server that wants none.
        api: the address of the API.
    """

    def __init__(self, repository: str, token: str | None, api: str = API) -> None:
        if urllib.parse.urlsplit(api).scheme not in {"http", "https"}:
            raise InputError(f"--api {api} is no address of a web server")
        self._base = f"{api.rstrip('/')}/repos/{urllib.parse.quote(repository)}"
        self._token = token

    def pull_request(self, event: Event) -> int | None:
        """Return the open pull request whose head is that of the event, or None.

        The event lists no pull requests of forks, so that they are looked up by branch and commit.

        Raises:
            GitHubError: the API cannot be asked, or there are several.
        """
        run = event.workflow_run
        owner = run.head_repository.full_name.split("/", maxsplit=1)[0]
        query = {"state": "open", "head": f"{owner}:{run.head_branch}"}
        found = [
            each.number
            for each in self._all("/pulls", list[_PullRequest], list, **query)
            if each.head.sha == run.head_sha
            and each.head.repo is not None
            and each.head.repo.full_name == run.head_repository.full_name
        ]
        if len(found) > 1:
            numbers = ", ".join(f"#{number}" for number in found)
            raise GitHubError(f"{numbers} have the same head {run.head_sha}: which one is unknown")
        return found[0] if found else None

    def artifact(self, run: int, name: str, file: str, limit: int) -> bytes | None:
        """Return a file of the newest artifact of a run; None if there is no such artifact.

        Args:
            run: the id of the run.
            name: the name of the artifact.
            file: the file inside of it.
            limit: the largest size to read, in bytes.

        Raises:
            GitHubError: the API cannot be asked, the artifact is no archive with that file, or it
                is too large.
        """
        path = f"/actions/runs/{run}/artifacts"
        listed = self._all(path, _Artifacts, lambda answer: answer.artifacts, name=name)
        found = [each for each in listed if each.name == name and not each.expired]
        if not found:
            return None
        newest = max(found, key=lambda each: each.id)
        if newest.size_in_bytes > MAX_ARTIFACT_BYTES:
            raise GitHubError(f"artifact {name} has more than {MAX_ARTIFACT_BYTES:,} bytes")
        archive = self._send("GET", f"/actions/artifacts/{newest.id}/zip", limit=MAX_ARTIFACT_BYTES)
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as files, files.open(file) as content:
                data = content.read(limit + 1)
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
            raise GitHubError(f"artifact {name} has no readable file {file}: {error}") from error
        except (zlib.error, EOFError, OSError) as error:
            raise GitHubError(f"artifact {name}, {file}: damaged ({error})") from error
        if len(data) > limit:
            raise GitHubError(f"artifact {name}: {file} has more than {limit:,} bytes")
        return data

    def comment(self, number: int, body: str, marker: str, author: str = BOT) -> bool:
        """Write the one comment of a kind, in place of its former text.

        Args:
            number: the pull request.
            body: the text; it begins with the marker.
            marker: what the comment to replace begins with.
            author: who must have written it; others may copy the marker.

        Returns:
            Whether there was one.

        Raises:
            GitHubError: the API cannot be asked, or refuses.
        """
        path = f"/issues/{number}/comments"
        for each in self._all(path, list[_Comment], list):
            is_own = each.user is not None and each.user.login == author
            if is_own and (each.body or "").startswith(marker):
                self._send("PATCH", f"/issues/comments/{each.id}", {"body": body})
                return True
        self._send("POST", path, {"body": body})
        return False

    def _all(
        self, path: str, kind: type[Any], items: Callable[[Any], list[T]], **query: str
    ) -> Iterator[T]:
        """Yield the items of all pages of a list."""
        for page in range(1, _MAX_PAGES + 1):
            words = urllib.parse.urlencode({**query, "per_page": _PAGE, "page": page})
            content = self._send("GET", f"{path}?{words}")
            try:
                found = items(msgspec.json.decode(content, type=kind))
            except msgspec.DecodeError as error:
                raise GitHubError(
                    f"GET {path}: the answer is not as documented: {error}"
                ) from error
            yield from found
            if len(found) < _PAGE:
                return

    def _send(
        self,
        method: str,
        path: str,
        body: dict[str, str] | None = None,
        limit: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """Send a request, and return the body of the answer."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked
            self._base + path,
            method=method,
            data=None if body is None else msgspec.json.encode(body),
            headers={
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "User-Agent": "restorebench",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        if self._token is not None:
            # Not sent on to where a download is redirected.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                content: bytes = answer.read(limit + 1)
        except urllib.error.HTTPError as error:
            raise GitHubError(f"{method} {path}: {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise GitHubError(f"{method} {path}: no answer ({error})") from error
        if len(content) > limit:
            raise GitHubError(f"{method} {path}: the answer has more than {limit:,} bytes")
        return content

"""A server on loopback that answers as GitHub's API does, and records what it is asked."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = "owner/project"
TOKEN = "token-of-the-workflow"


@dataclass
class FakeGitHub:
    """The state of a repository, and the requests: method, path with query, has token."""

    address: str = ""
    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    artifacts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    archives: dict[int, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, bool]] = field(default_factory=list)
    refuse: int | None = None

    def add_pull(self, number: int, sha: str, branch: str = "topic", owner: str = "fork") -> None:
        """Open a pull request of a fork."""
        repository = {"full_name": f"{owner}/project"}
        head = {"sha": sha, "ref": branch, "repo": repository}
        self.pulls.append({"number": number, "head": head})

    def add_artifact(self, run: int, content: bytes, *, file: str = "comparison.json") -> int:
        """Upload an artifact, as actions/upload-artifact does, and return its id."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
            files.writestr(file, content)
        number = 100 + len(self.archives)
        self.archives[number] = archive.getvalue()
        size = len(archive.getvalue())
        made = {"id": number, "name": "comparison", "size_in_bytes": size, "expired": False}
        self.artifacts.setdefault(run, []).append(made)
        return number

    def add_comment(self, number: int, body: str, author: str) -> None:
        """Write a comment as this user."""
        written = self.comments.setdefault(number, [])
        count = sum(map(len, self.comments.values()))
        written.append({"id": 1000 + count, "body": body, "user": {"login": author}})

    def bodies(self, number: int) -> list[str]:
        """Return the texts of the comments on a pull request."""
        return [each["body"] for each in self.comments.get(number, [])]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:  # noqa: PLR0911
        """Return the answer to a request: data, bytes, or a redirection."""
        match method, path.split("/")[1:]:
            case "GET", ["repos", "owner", "project", "pulls"]:
                return self._page([one for one in self.pulls if _has_head(one, query)], query)
            case "GET", ["repos", "owner", "project", "actions", "runs", run, "artifacts"]:
                return {"artifacts": self._page(self.artifacts.get(int(run), []), query)}
            case "GET", ["repos", "owner", "project", "actions", "artifacts", number, "zip"]:
                return f"{self.address}/storage/{number}"
            case "GET", ["storage", number]:
                return self.archives[int(number)]
            case "GET", ["repos", "owner", "project", "issues", number, "comments"]:
                return self._page(self.comments.get(int(number), []), query)
            case "POST", ["repos", "owner", "project", "issues", number, "comments"]:
                self.add_comment(int(number), body["body"], "github-actions[bot]")
                return self.comments[int(number)][-1]
            case "PATCH", ["repos", "owner", "project", "issues", "comments", number]:
                (own,) = (
                    one
                    for written in self.comments.values()
                    for one in written
                    if one["id"] == int(number)
                )
                own["body"] = body["body"]
                return own
        return None

    @staticmethod
    def _page(items: list[Any], query: dict[str, str]) -> list[Any]:
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        return items[size * (page - 1) : size * page]


def _has_head(pull: dict[str, Any], query: dict[str, str]) -> bool:
    owner, branch = query["head"].split(":", maxsplit=1)
    head = pull["head"]
    return bool(head["ref"] == branch and head["repo"]["full_name"].startswith(f"{owner}/"))


@contextmanager
def serve() -> Iterator[FakeGitHub]:
    """Serve an empty repository."""
    state = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        do_POST = do_PATCH = do_GET  # noqa: N815 - the names of the base class

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            has_token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            state.requests.append((self.command, self.path, has_token))
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            answer = state.answer(self.command, parts.path, query, body)
            if state.refuse is not None or answer is None:
                self._send(state.refuse or 404, b"{}")
            elif isinstance(answer, str):
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
            else:
                self._send(
                    200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                )

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """Return a server that answers as GitHub does."""
    with serve() as state:
        yield state

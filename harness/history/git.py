"""Runs git in a scratch repository, without a work tree and without asking for passwords."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from typing import TYPE_CHECKING

from harness.model.errors import HistoryError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# A network operation that takes longer is stuck: a year of runs is some 50 MB.
TIMEOUT_S = 600

_IDENTITY = ("restorebench", "restorebench@localhost")
_NO_GIT = "git was not found; install it"
_HEADER_FIELDS = 3  # of an object: its id, type and size
_CREDENTIALS = re.compile(r"//[^/\s@]+@")


class Git:
    """A bare scratch repository.

    Args:
        folder: an empty folder, which becomes the repository.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.run("init", "--quiet", "--bare", str(folder))

    def run(self, *words: str, content: bytes | None = None) -> bytes:
        """Run a git command, and return its standard output.

        Raises:
            HistoryError: it failed; the message has its last line, without credentials.
        """
        done = self.attempt(*words, content=content)
        if done.returncode:
            text = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise HistoryError(f"git {words[0]} failed: {mask(text.splitlines()[-1])}")
        return done.stdout

    def blobs(self, ids: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of objects, one at a time, from a single process.

        Raises:
            HistoryError: there is no git, or an object is missing.
        """
        command = ["git", "--bare", "cat-file", "--batch"]
        try:
            process = subprocess.Popen(  # noqa: S603 - git, with arguments that are no options
                command,
                env=_environment(self._folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise HistoryError(_NO_GIT) from error
        with process as running:
            if running.stdin is None or running.stdout is None:
                raise AssertionError("both are pipes")
            for each in ids:
                running.stdin.write(f"{each}\n".encode())
                running.stdin.flush()
                header = running.stdout.readline().split()
                if len(header) != _HEADER_FIELDS:
                    raise HistoryError(f"the repository has no object {each}")
                yield running.stdout.read(int(header[2]))
                running.stdout.read(1)  # the line feed after each

    def attempt(
        self, *words: str, content: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a git command that may fail.

        Raises:
            HistoryError: there is no git, or it took longer than ``TIMEOUT_S``.
        """
        command = ["git", *words] if words[0] == "init" else ["git", "--bare", *words]
        try:
            # In the current folder, so that a relative path of a remote is one from there.
            return subprocess.run(  # noqa: S603 - git, with arguments that are no options
                command,
                env=_environment(self._folder),
                input=b"" if content is None else content,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise HistoryError(_NO_GIT) from error
        except subprocess.TimeoutExpired as error:
            raise HistoryError(f"git {words[0]} took more than {TIMEOUT_S} s; stopped") from error


# Those that git sets for hooks and aliases, and that would make the scratch repository another.
_OF_A_REPOSITORY = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)


def resolve(remote: str) -> str:
    """Return the address of a remote of the current checkout; another address is returned as it is.

    Raises:
        InputError: it begins with a dash, which git takes for an option.
    """
    if remote.startswith("-") or not remote:
        raise InputError(f"--remote {remote!r} is not the name or the address of a repository")
    done = subprocess.run(  # noqa: S603 - checked above
        ["git", "remote", "get-url", "--", remote],  # noqa: S607 - the user's git
        capture_output=True,
        check=False,
    )
    return remote if done.returncode else os.fsdecode(done.stdout).rstrip("\n")


def mask(text: str) -> str:
    """Remove user names and passwords from the addresses in a text."""
    return _CREDENTIALS.sub("//", text)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of git: no questions, a fixed identity, the token of CI."""
    name, email = _IDENTITY
    return {
        **{key: value for key, value in os.environ.items() if key not in _OF_A_REPOSITORY},
        "GIT_DIR": str(folder),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        **_authorization(os.environ),
    }


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings by which git sends ``GITHUB_TOKEN`` to ``GITHUB_SERVER_URL`` alone.

    As variables, they are in no command line and in no file. actions/checkout sends that header.
    """
    token, server = environ.get("GITHUB_TOKEN"), environ.get("GITHUB_SERVER_URL")
    if not token or not server:
        return {}
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    count = int(environ.get("GIT_CONFIG_COUNT", "0"))
    return {
        "GIT_CONFIG_COUNT": f"{count + 1}",
        f"GIT_CONFIG_KEY_{count}": f"http.{server}/.extraheader",
        f"GIT_CONFIG_VALUE_{count}": f"AUTHORIZATION: basic {basic}",
    }

"""Failures of a store: which are worth another attempt, and what each means to a user."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from restore.errors import BackupError, StoreError
from restore.text import clip

if TYPE_CHECKING:
    from restore.remote.path import RemotePath

_TIMEOUT, _TOO_MANY, _FAULT_OF_SERVER = 408, 429, 500
_DENIED = (401, 403)
# By name: the packages that they are from need not be there.
_NO_CREDENTIALS = frozenset(
    {
        *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"),  # botocore
        *("DefaultCredentialsError", "RefreshError"),  # google-auth
        *("ClientAuthenticationError", "CredentialUnavailableError"),  # azure-identity
        *("PermissionDenied", "HostKeyNotVerifiable"),  # asyncssh
    }
)
_NO_RIGHT = frozenset({"SFTPPermissionDenied"})  # asyncssh; sshfs passes it on as it is
_QUERY, _USER = re.compile(r"\?[^\s'\")]+"), re.compile(r"://[^/\s@]*@")


class ChangedError(Exception):
    """An object is not the one that was found."""


class NoRangesError(Exception):
    """A server answers with all of a file instead of a range of it."""


_FINAL = (FileNotFoundError, PermissionError, ChangedError, NoRangesError, BackupError)


def is_transient(error: BaseException) -> bool:
    """Tell if another attempt may succeed: the network or the server failed, not the request."""
    if not isinstance(error, Exception) or isinstance(error, _FINAL):
        return False
    if type(error).__name__ in _NO_CREDENTIALS or _is_denied(error):
        return False
    status = _status(error)
    if status is not None:
        return status >= _FAULT_OF_SERVER or status in {_TIMEOUT, _TOO_MANY}
    return not (isinstance(error, OSError) and error.errno == errno.EINVAL)


def explain(error: Exception, path: RemotePath) -> BackupError:
    """Return the error for a user; it holds no secret of the URL."""
    if isinstance(error, BackupError):
        return error
    if isinstance(error, ChangedError):
        why = f" ({error})" if str(error) else ""
        return BackupError(f"{path} changed during the restore{why}; start over with --clean")
    if isinstance(error, NoRangesError):
        return BackupError(
            f"cannot read {path}: the server sends no byte ranges; download the file, or pipe it"
            " into `python -m restore -`"
        )
    if _is_denied(error):
        return BackupError(
            f"cannot access {path}: permission denied: {_text(error)}; check the credentials and"
            " the rights on it"
        )
    if type(error).__name__ in _NO_CREDENTIALS:
        return BackupError(
            f"cannot access {path}: {_text(error)}; set the credentials as the store's own tools"
            " take them"
        )
    again = is_transient(error)
    step = "try again, or continue with --resume" if again else "check the URL"
    return (StoreError if again else BackupError)(f"cannot access {path}: {_text(error)}; {step}")


def _is_denied(error: Exception) -> bool:
    named = type(error).__name__ in _NO_RIGHT
    return named or isinstance(error, PermissionError) or _status(error) in _DENIED


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that was an error; None: there was no answer."""
    for name in ("status", "status_code"):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status
    return None


def _text(error: BaseException) -> str:
    status = _status(error)
    if status is not None:  # the text would hold the URL
        return clip(" ".join(f"HTTP {status} {getattr(error, 'message', '')}".split()), 500)
    text = " ".join(str(error).split()) or type(error).__name__
    return clip(_USER.sub("://...@", _QUERY.sub("?...", text)), 500)

"""The error of this package: no server, the reason, and advice."""

from __future__ import annotations

from harness.model.errors import HarnessError


class ServerError(HarnessError):
    """No PostgreSQL server is available, or it failed.

    Args:
        reason: what failed, in a few words; ``auto`` gives it as the reason for its alternative.
        advice: what to do next.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason
        self.advice = advice


def one_line(error: BaseException, *, secret: str | None = None) -> str:
    """Return the most informative line of an error's text, with ``secret`` masked.

    libpq lists each address that it tried; the reason is in the last line that failed.
    """
    lines = [line.strip(" -\t") for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "failed:" in line or "FATAL" in line]
    text = (telling or lines or [type(error).__name__])[-1 if telling else 0]
    return text.replace(secret, "***") if secret else text

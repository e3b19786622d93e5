"""The one error of this package: no server to run on, why, and what to do about it."""

from __future__ import annotations

from harness.model.errors import HarnessError


class ServerError(HarnessError):
    """No PostgreSQL could be had, or the one that there was failed.

    Args:
        reason: what is wrong, in a few words; ``auto`` gives it as its reason for taking another.
        advice: what the user does next.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason
        self.advice = advice


def one_line(error: BaseException, *, secret: str | None = None) -> str:
    """Return the line of an error's text that says most, with ``secret`` blotted out.

    libpq lists each address that it tried, and the reason stands in the last line that failed.
    """
    lines = [line.strip(" -\t") for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "failed:" in line or "FATAL" in line]
    text = (telling or lines or [type(error).__name__])[-1 if telling else 0]
    return text.replace(secret, "***") if secret else text

"""Connection strings: is it one, and how it reads without its password."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from restore.errors import UsageError

_PORTS = re.compile(r"[\d,]*")
_URL = re.compile(r"(?P<start>postgres(?:ql)?)(?:\+\w+)?://(?P<rest>.*)", re.DOTALL)
_URL_PASSWORD = re.compile(r"^(\w+://[^:/@?]*):[^@/]*@")
_SECRETS = (
    (re.compile(r"(://).*@", re.DOTALL), r"\1...@"),
    (re.compile(r"(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE), r"\1..."),
)
# What Prisma writes into its URLs for itself; libpq refuses a parameter that it does not know.
_PRISMA = frozenset(
    {
        "connection_limit",
        "max_connection_lifetime",
        "max_idle_connection_lifetime",
        "pgbouncer",
        "pool_timeout",
        "schema",
        "single_use_connections",
        "socket_timeout",
        "sslaccept",
        "sslidentity",
        "statement_cache_size",
    }
)


def checked(dsn: str) -> str:
    """Return a connection string for libpq, if this is one.

    What Prisma (``?schema=public``) and SQLAlchemy (``postgresql+psycopg://``) add is left out.

    What libpq says of a bad one may quote parts of it, and a password with an unquoted ``@`` or
    ``/`` in it comes out as a host or a port: so it is refused in our own words.

    Raises:
        UsageError: it is none.
    """
    dsn = _for_libpq(dsn)
    try:
        parts = _parts(dsn)
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    if not _PORTS.fullmatch(str(parts.get("port") or "")) or _has_stray_at(dsn):
        raise UsageError(
            "--dsn is no connection string: write postgresql://user@host:5432/database, special"
            " characters as %XX, the password better in PGPASSWORD"
        )
    return dsn


def _has_stray_at(dsn: str) -> bool:
    """Tell whether a URL has an ``@`` behind the one that ends user and password.

    libpq takes the first one for that: what follows is a host and a database, if it is no password.
    """
    match = _URL.fullmatch(dsn)
    if match is None:
        return False
    user, at, behind = match["rest"].partition("@")
    place = behind if at and "/" not in user else match["rest"]
    return "@" in place.partition("?")[0]


def schema_named(dsn: str) -> str | None:
    """Return the schema that a URL of Prisma's names, if it does."""
    return dict(parse_qsl(dsn.partition("?")[2])).get("schema") if _URL.match(dsn) else None


def without_password(dsn: str) -> str:
    """Return a connection string as it was given, less the password in it."""
    parts = _parts(_for_libpq(dsn))
    if "password" not in parts:
        return dsn
    rest = {name: value for name, value in parts.items() if name != "password"}
    shorter = _URL_PASSWORD.sub(r"\1@", dsn)
    if shorter != dsn and _parts(_for_libpq(shorter)) == rest:
        return shorter
    return make_conninfo("", **rest)


def password_of(dsn: str) -> str | None:
    """Return the password that a connection string holds, if it does, and if it is one."""
    try:
        password = _parts(_for_libpq(dsn)).get("password")
    except psycopg.ProgrammingError:
        return None
    return None if password is None else str(password)


def hide_secrets(text: str) -> str:
    """Return a text without what may be a password in it; for what a user mistyped."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def looks_like_one(text: str) -> bool:
    """Tell whether a word that stands elsewhere was meant as a connection string."""
    return hide_secrets(text) != text or "://" in text


def _for_libpq(dsn: str) -> str:
    match = _URL.fullmatch(dsn)
    if match is None:
        return dsn
    rest, _, query = match["rest"].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name not in _PRISMA]
    if len(kept) < len(pairs):
        query = urlencode(kept, quote_via=quote)
    return f"{match['start']}://{rest}{'?' * bool(query)}{query}"


def _parts(dsn: str) -> dict[str, Any]:
    return dict(conninfo_to_dict(dsn))

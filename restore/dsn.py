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
_POOLER = "pgbouncer"
# What Prisma writes into its URLs for itself; libpq refuses a parameter that it does not know.
_PRISMA = frozenset(
    {
        "connection_limit",
        "max_connection_lifetime",
        "max_idle_connection_lifetime",
        _POOLER,
        "pool_timeout",
        "schema",
        "single_use_connections",
        "socket_timeout",
        "sslaccept",
        "sslidentity",
        "statement_cache_size",
    }
)


def checked(dsn: str, origin: str = "--dsn") -> str:
    """Return a connection string, if this is one, without what other programs add for themselves.

    That is what Prisma (``?schema=public``) and SQLAlchemy (``postgresql+psycopg://``) add; only
    ``pgbouncer=true`` stays, which ``for_libpq`` takes out.

    What libpq says of a bad one may quote parts of it, and a password with an unquoted ``@`` or
    ``/`` in it comes out as a host or a port: so it is refused in our own words.

    Args:
        dsn: what was given.
        origin: the option, the variable or the setting that gave it.

    Raises:
        UsageError: it is none.
    """
    bare = for_libpq(dsn)
    try:
        parts = dict(conninfo_to_dict(bare))
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    if not _PORTS.fullmatch(str(parts.get("port") or "")) or _has_stray_at(bare):
        raise UsageError(
            f"{origin} is no connection string: write postgresql://user@host:5432/database, special"
            " characters as %XX, the password better in PGPASSWORD"
        )
    return _without(dsn, _PRISMA - {_POOLER}) if names_pooler(dsn) else bare


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
    parts = _parts(dsn)
    if "password" not in parts:
        return dsn
    rest = {name: value for name, value in parts.items() if name != "password"}
    bare = _without(dsn, frozenset({"password"}), keeping_start=True)
    for shorter in (_URL_PASSWORD.sub(r"\1@", dsn), _URL_PASSWORD.sub(r"\1@", bare)):
        if shorter != dsn and _parts(shorter) == rest:
            return shorter
    return make_conninfo("", **rest)


def password_of(dsn: str) -> str | None:
    """Return the password that a connection string holds, if it does, and if it is one."""
    try:
        password = _parts(dsn).get("password")
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


def names_pooler(dsn: str) -> bool:
    """Tell whether a URL says, as Prisma's do, that it leads through PgBouncer."""
    query = dict(parse_qsl(dsn.partition("?")[2])) if _URL.match(dsn) else {}
    return query.get(_POOLER, "").lower() == "true"


def for_libpq(dsn: str) -> str:
    """Return a connection string as libpq takes it."""
    return _without(dsn, _PRISMA)


def _without(dsn: str, names: frozenset[str], *, keeping_start: bool = False) -> str:
    """Return a URL without these parameters, and its scheme as libpq knows it, unless kept."""
    match = _URL.fullmatch(dsn)
    if match is None:
        return dsn
    rest, _, query = match["rest"].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name not in names]
    if len(kept) < len(pairs):
        query = urlencode(kept, quote_via=quote)
    start = dsn.partition("://")[0] if keeping_start else match["start"]
    return f"{start}://{rest}{'?' * bool(query)}{query}"


def _parts(dsn: str) -> dict[str, Any]:
    return dict(conninfo_to_dict(for_libpq(dsn)))

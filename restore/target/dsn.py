"""Connection strings: validated, translated for libpq, shown without their password."""

from __future__ import annotations

import difflib
import functools
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from restore.errors import UsageError

_PORTS = re.compile(r"[\d,]*")
_URL = re.compile(
    r"(?:jdbc:)?(?P<start>postgres(?:ql)?)(?P<driver>\+\w+)?://(?P<rest>.*)", re.DOTALL
)
_URL_PASSWORD = re.compile(r"^([\w+:]+://[^:/@?]*):[^@/]*@")
_POOLER = "pgbouncer"
_SCHEMAS = ("schema", "currentSchema")  # Prisma's, JDBC's
# libpq refuses a parameter that it does not know. Without one that is like one of these, a restore
# might go elsewhere, or over a connection that is less secure than was asked for.
_STEERING = re.compile(r"(?i:ssl|tls|host|port|dbname|user|pass|service|auth|session|options)")
_INSTEAD = "leave it out, or write what it says as a parameter of libpq"
_PARAMETER = re.compile(r"\w[\w.-]*", re.ASCII)
_CLOSE = 0.8
# Parameters about TLS without which a connection is as secure.
_HARMLESS = frozenset({"uselibpqcompat", "sslidentity"})
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
_UNENCRYPTED = frozenset({"0", "disable", "false", "no", "off"})
_SYSTEM_FROM = 160_000  # from this version on libpq can use the system's certificates


def check_dsn(dsn: str, origin: str = "--dsn") -> str:
    """Return a connection string if ``to_libpq`` can translate it.

    What libpq says of a bad one may quote parts of it, and a password with an unquoted ``@`` or
    ``/`` in it comes out as a host or a port: so it is refused in our own words.

    Args:
        dsn: what was given.
        origin: the option, the variable or the setting that gave it.

    Raises:
        UsageError: it is none, or a parameter that is not known may not be left out.
    """
    url = _translated(dsn)
    try:
        parts = dict(conninfo_to_dict(url.text))
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    # The rest of a password with an unquoted "?" would be a parameter.
    is_torn = bool(url.left_out) and "@" in dsn.partition("?")[2]
    is_named = all(map(_PARAMETER.fullmatch, url.left_out)) and not is_torn
    if not _PORTS.fullmatch(str(parts.get("port") or "")) or _has_stray_at(dsn) or not is_named:
        raise UsageError(
            f"{origin} is not a connection string: write postgresql://user@host:5432/database,"
            " special characters as %XX, the password better in PGPASSWORD"
        )
    for name in sorted(set(url.left_out) - _HARMLESS):
        close = difflib.get_close_matches(name.lower(), _keywords(), n=1, cutoff=_CLOSE)
        if _STEERING.search(" ".join([name, *close])):
            raise UsageError(
                f"{origin} has the parameter {name}, which libpq does not know:"
                f" {f'did you mean {close[0]}?' if close else _INSTEAD}"
            )
    return dsn


def dsn_warnings(dsn: str) -> list[str]:
    """Return a warning that names the parameters of a URL that are left out, if any."""
    names = ", ".join(dict.fromkeys(_translated(dsn).left_out))
    return [f"left out of the URL, as libpq does not know it: {names}"] if names else []


def _has_stray_at(dsn: str) -> bool:
    """Tell if a URL has an ``@`` after the one that ends user and password.

    libpq takes the first one for that: what follows is a host and a database, if it is no password.
    """
    match = _URL.fullmatch(dsn)
    if match is None:
        return False
    user, at, behind = match["rest"].partition("@")
    place = behind if at and "/" not in user else match["rest"]
    return "@" in place.partition("?")[0]


def prisma_schema(dsn: str) -> str | None:
    """Return the schema that a URL of Prisma or JDBC names, if any."""
    query = _query(dsn)
    return next((query[name] for name in _SCHEMAS if name in query), None)


def mask_password(dsn: str) -> str:
    """Return a connection string without its password."""
    parts = _parts(dsn)
    if "password" not in parts:
        return dsn
    rest = {name: value for name, value in parts.items() if name != "password"}
    bare = _without_parameter(dsn, "password")
    for shorter in (_URL_PASSWORD.sub(r"\1@", dsn), _URL_PASSWORD.sub(r"\1@", bare)):
        if shorter != dsn and _parts(shorter) == rest:
            return shorter
    return make_conninfo("", **rest)


def password_of(dsn: str) -> str | None:
    """Return the password of a connection string, if it is valid and has one."""
    try:
        password = _parts(dsn).get("password")
    except psycopg.ProgrammingError:
        return None
    return None if password is None else str(password)


def names_pooler(dsn: str) -> bool:
    """Tell if a URL, like Prisma's, declares a connection through PgBouncer."""
    return _query(dsn).get(_POOLER, "").lower() == "true"


def to_libpq(dsn: str) -> str:
    """Translate a connection string for libpq."""
    return _translated(dsn).text


class _Translated(NamedTuple):
    """A connection string for libpq, and the parameters that libpq does not know."""

    text: str
    left_out: list[str]


def _translated(dsn: str) -> _Translated:
    """Translate a URL of Prisma, SQLAlchemy, JDBC, node-postgres or asyncpg."""
    match = _URL.fullmatch(dsn)
    if match is None:
        return _Translated(dsn, [])
    rest, _, query = match["rest"].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    tls = _tls(dict(pairs), is_asked=match["driver"] == "+ssl")
    kept = [(name, value) for name, value in pairs if name in _keywords() and name not in tls]
    kept += tls.items()
    if kept != pairs:
        query = urlencode(kept, quote_via=quote)
    text = f"{match['start']}://{rest}{'?' * bool(query)}{query}"
    known = _keywords() | {"ssl", "sslaccept", *_SCHEMAS, _POOLER}
    return _Translated(text, [name for name, _ in pairs if name not in known])


def _tls(query: dict[str, str], *, is_asked: bool) -> dict[str, str]:
    """Return libpq's parameters for what other drivers ask of TLS; never less than they do.

    Args:
        query: the URL's parameters.
        is_asked: its scheme asks for TLS.
    """
    mode, ssl = query.get("sslmode"), query.get("ssl", "")
    if query.get("sslaccept") == "strict":
        system = {"sslrootcert": "system"} if pq.version() >= _SYSTEM_FROM else {}
        given = {"sslrootcert": query["sslrootcert"]} if "sslrootcert" in query else system
        return {"sslmode": "verify-full", **given}
    if ssl in _ENCRYPTED and mode not in _ENCRYPTED:
        return {"sslmode": ssl}
    is_asked = is_asked or bool(ssl and ssl.lower() not in _UNENCRYPTED)
    if mode == "no-verify" or (is_asked and mode not in _ENCRYPTED):
        return {"sslmode": "require"}
    return {}


@functools.cache
def _keywords() -> frozenset[str]:
    """Return the parameters that libpq knows."""
    return frozenset(each.keyword.decode() for each in pq.Conninfo.get_defaults())


def _query(dsn: str) -> dict[str, str]:
    return dict(parse_qsl(dsn.partition("?")[2])) if _URL.match(dsn) else {}


def _without_parameter(dsn: str, name: str) -> str:
    """Return a URL without one parameter, otherwise unchanged."""
    start, _, query = dsn.partition("?")
    if _URL.fullmatch(dsn) is None or name not in _query(dsn):
        return dsn
    pairs = parse_qsl(query, keep_blank_values=True)
    query = urlencode([pair for pair in pairs if pair[0] != name], quote_via=quote)
    return f"{start}{'?' * bool(query)}{query}"


def _parts(dsn: str) -> dict[str, Any]:
    return dict(conninfo_to_dict(to_libpq(dsn)))

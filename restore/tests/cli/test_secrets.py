"""Passwords on a server that asks for one, and options of TLS on one that speaks it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from harness.servers import open_server
from restore import RestoreError
from restore.target.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each part of it would end something in a URL, in a connection string, or in a shell.
PASSWORD = "pa@ss/w0rd:'x y%\\?"
PARTS = ("pa@ss", "w0rd", quote(PASSWORD, safe=""))
USER = "guarded"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server that asks one role for its password; what leads to that role's database."""
    with open_server("embedded", announce=print) as server, server.connect("postgres") as conn:
        role = sql.Identifier(USER)
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, PASSWORD))
        conn.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(role))
        [[path]] = conn.execute("SHOW hba_file").fetchall()
        rules = Path(path).read_text(encoding="utf-8")
        Path(path).write_text(f"local all {USER} scram-sha-256\n{rules}", encoding="utf-8")
        conn.execute("SELECT pg_reload_conf()")
        with server.connect(USER) as other:
            other.execute("CREATE TABLE t (id int PRIMARY KEY)")
            other.execute(sql.SQL("ALTER TABLE t OWNER TO {}").format(role))
        parts = conninfo_to_dict(server.dsn(USER))
        yield {"host": str(parts["host"]), "port": str(parts["port"])}


def url(place: dict[str, str], password: str) -> str:
    host = quote(place["host"], safe="")
    return (
        f"postgresql://{USER}:{quote(password, safe='')}@/{USER}?host={host}&port={place['port']}"
    )


def said_by(form: str, place: dict[str, str], password: str) -> tuple[list[str], dict[str, str]]:
    """Return the words and the variables that say where to, with the password, in this form."""
    bare = make_conninfo("", user=USER, dbname=USER, **place)
    match form:
        case "URL":
            return ["--dsn", url(place, password)], {}
        case "one word":
            return [f"--dsn={url(place, password)}"], {}
        case "keywords":
            return ["--dsn", make_conninfo(bare, password=password)], {}
        case "variable":
            return ["--dsn", bare], {"PGPASSWORD": password}
        case "RESTORE_DSN":
            return [], {"RESTORE_DSN": url(place, password)}
    raise AssertionError(form)


def run(folder: Path, words: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Run the command; return its exit code and all that anybody could have seen of it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "RESTORE", "DATABASE"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "restore", *words],
        env=kept | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    title = ""
    while process.poll() is None:
        with contextlib.suppress(OSError):  # it has just ended
            title = Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8") or title
        time.sleep(0.02)
    output, _ = process.communicate(timeout=60)
    files = [path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()]
    return process.returncode, "\n".join([output, title, *files])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "again"), [("URL", "keywords"), ("one word", "RESTORE_DSN"), ("variable", "URL")]
)
def test_no_password_is_seen_of_a_restore_and_a_retry(
    guarded: dict[str, str], form: str, again: str, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "t.json").write_text('[{"id": 1}, {"id": "x"}]', encoding="utf-8")
    rejects, report = tmp_path / "rejects", tmp_path / "report.json"
    told = ["--report", str(report), "--jobs", "2"]
    for form_of_task, task in (
        (form, [str(tmp_path / "b"), "--clean", "--rejects", str(rejects)]),
        (again, ["retry", str(rejects)]),
    ):
        words, env = said_by(form_of_task, guarded, PASSWORD)
        code, seen = run(tmp_path, [*task, *told, *words], env)
        assert code == 3, seen
        assert not [part for part in PARTS if part in seen]
    assert json.loads(report.read_bytes())["tables"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["URL", "keywords", "variable"])
def test_no_password_is_seen_where_it_is_refused(
    guarded: dict[str, str], form: str, tmp_path: Path
) -> None:
    words, env = said_by(form, guarded, PASSWORD + "wrong")
    code, seen = run(tmp_path, ["repair", *words], env)
    assert code == 1
    assert "password authentication failed" in seen
    assert "Traceback" not in seen
    assert not [part for part in (*PARTS, "wrong") if part in seen]


class Speaker(threading.Thread):
    """A server that answers one client, over TLS where that asks for it, and refuses it.

    Source: "SSL Session Encryption" and "Message Formats" in PostgreSQL's documentation.
    """

    def __init__(self, certificate: Path | None) -> None:
        super().__init__()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._context and certificate:
            self._context.load_cert_chain(certificate)

    def run(self) -> None:
        with self.listener, contextlib.suppress(OSError):  # the client may hang up at any time
            client, _ = self.listener.accept()
            with client:
                if client.recv(8)[4:] != struct.pack("!I", 80877103):  # SSLRequest
                    self._refuse(client, "in plain")
                    return
                client.sendall(b"S" if self._context else b"N")
                if self._context:
                    with self._context.wrap_socket(client, server_side=True) as secured:
                        self._refuse(secured, "over TLS")

    @staticmethod
    def _refuse(client: socket.socket, heard: str) -> None:
        client.recv(1 << 16)
        said = f"SFATAL\0C28000\0Mheard {heard}\0\0".encode()
        client.sendall(b"E" + struct.pack("!I", 4 + len(said)) + said)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate that it has signed itself, for ``localhost`` and no address."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-keyout", str(path), "-out", f"{path}.crt"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl to make a certificate")
    own = Path(f"{path}.crt").read_text(encoding="ascii")
    path.write_text(path.read_text(encoding="ascii") + own, encoding="ascii")
    return path


@pytest.mark.parametrize(
    ("options", "env", "message"),
    [
        ("sslmode=require", {}, "heard over TLS"),
        ("sslmode=disable", {"PGSSLMODE": "require"}, "heard in plain"),
        ("", {"PGSSLMODE": "require"}, "heard over TLS"),
        ("sslmode=verify-ca&sslrootcert={}", {}, "heard over TLS"),
        ("", {"PGSSLMODE": "verify-ca", "PGSSLROOTCERT": "{}"}, "heard over TLS"),
        ("sslmode=verify-full&sslrootcert={}", {}, 'does not match host name "127.0.0.1"'),
        ("sslmode=verify-ca&sslrootcert=/nowhere", {}, 'root certificate file "/nowhere"'),
        ("sslmode=verify-ca&sslrootcert=system", {}, "weak sslmode"),
    ],
)
def test_options_of_tls_pass_through(
    certificate: Path, options: str, env: dict[str, str], message: str, tmp_path: Path
) -> None:
    line = refused(Speaker(certificate), options, env, f"{certificate}.crt")
    assert message in line


def test_tls_that_a_server_does_not_speak_is_said() -> None:
    line = refused(Speaker(None), "sslmode=require", {}, "")
    assert "server does not support SSL, but SSL was required" in line


def refused(speaker: Speaker, options: str, env: dict[str, str], trusted: str) -> str:
    """Connect to a server with these options; return the line that says why it did not do."""
    port = speaker.listener.getsockname()[1]
    dsn = f"postgresql://me@127.0.0.1:{port}/d?gssencmode=disable&{options.format(trusted)}"
    speaker.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value.format(trusted))
        with pytest.raises(RestoreError) as caught:
            connect(dsn.rstrip("&"))
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()  # nobody may have come
    speaker.join()
    assert "\n" not in str(caught.value)
    return str(caught.value)

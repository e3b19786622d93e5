"""Files as export tools write them: restored exactly, or refused before anything is written.

``cases/NAME/`` holds the schema, the export, how the command is called and what is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from restore.tests.support import command

CASES = Path(__file__).parent / "cases"
# What is not restored, but refused before anything is written.
REFUSED = frozenset(
    {
        "clean-utf16",
        "dbeaver-query",
        "django-dump-map",
        "django-dumpdata",
        "django-dumpdata-folder",
        "django-dumpdata-jsonl",
        "empty-list-object",
        "error-body",
        "firebase-rtdb-folder",
        "interval-number",
        "json5-comments",
        "json5-trailing-commas",
        "json5-unquoted",
        "jsonl-dropped-json-same",
        "jsonl-dropped-strict",
        "name-hidden",
        "name-mac-resource",
        "name-single-object-json",
        "name-singular-ndjson-in-folder",
        "pandas-epoch-ms-1972-only",
        "psql-copy-csv",
        "snowflake-unload-name",
        "sqlite-utils-arrays",
        "utf16-envelope",
        "utf16le-bom-jsonl",
        "utf16le-bom-powershell",
    }
)
# What is restored in part, with exit code 3, and what the report says of the rest.
IN_PART = {
    "django-dumpdata-onemodel": 'Key (author_id)=(1) is not present in table "blog_author"',
    "django-dumpdata-onemodel-map": 'Key (author_id)=(1) is not present in table "blog_author"',
    "jq-stream": "'9223372036854776000' is out of range for type int8",
    "phpmyadmin": "'0000-00-00' is not a date: --zero-date null loads it as NULL",
    "phpmyadmin-extracted": "'0000-00-00' is not a date: --zero-date null loads it as NULL",
    "phpmyadmin-file": "'0000-00-00' is not a date: --zero-date null loads it as NULL",
    "phpmyadmin-pretty": "'0000-00-00' is not a date: --zero-date null loads it as NULL",
    "sqlite-mode-json": "has more than the 2 decimal places of column balance",
}
# What is complete but for nested relations, which the first line of the report names.
WITHOUT_RELATIONS = {
    "prisma-default-include": "but nested relations were left out (Post.author, Post.categories)",
}


def rows_of(conn: Any, tables: list[str]) -> dict[str, list[str]]:
    conn.execute("SET TimeZone = 'UTC'")
    return {t: sorted(r[0] for r in conn.execute(f"SELECT t::text FROM {t} t")) for t in tables}


def judge(name: str, database: Any, folder: Path) -> tuple[str, str]:
    """Restore a case; return the verdict, and the output.

    The verdict is ``exact``, ``refused`` if nothing was written, ``partial``, or what is wrong.
    """
    case = json.loads((CASES / name / "case.json").read_text(encoding="utf-8"))
    conn = database.connect()
    conn.execute((CASES / name / "schema.sql").read_text(encoding="utf-8"))
    conn.execute("SET search_path = public")
    tables = [
        f"{schema}.{table}"
        for schema, table in conn.execute(
            "SELECT quote_ident(schemaname), quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
    ]
    before = rows_of(conn, tables)
    words = [str(CASES / name / case["backup"]), "--dsn", database.dsn]
    done = command.run(*words, "--rejects", str(folder / "rejects"), *case["args"])
    output = done.output + done.errors
    after = rows_of(conn, tables)
    if "Traceback" in output:
        return "traceback", output
    right = {table: sorted(rows) for table, rows in case.get("rows", {}).items()}
    is_right = "rows" in case and all(after.get(t) == rows for t, rows in right.items())
    if done.exit_code == 0 and is_right:
        return "exact", output
    if done.exit_code == 2 and after == before:
        return "refused", output
    if done.exit_code == 3:
        return "right rows, exit 3" if is_right else "partial", output
    changed = {t: r for t, r in after.items() if r != before[t]}
    worth = "wrong" if "rows" in case else "unknown"
    return f"exit {done.exit_code}, {worth} rows: {changed}", output


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_case(name: str, database: Any, tmp_path: Path) -> None:
    verdict, output = judge(name, database, tmp_path)
    if name in IN_PART:
        assert verdict == "partial"
        assert IN_PART[name] in " ".join(output.split())
    elif name in WITHOUT_RELATIONS:
        assert WITHOUT_RELATIONS[name] in " ".join(output.split())
    else:
        assert verdict == ("refused" if name in REFUSED else "exact"), output

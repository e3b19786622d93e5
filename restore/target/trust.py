"""Checks who may write to the journal, whose SQL runs with the restoring role's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from restore.errors import LoadError
from restore.target.queries import load_query

if TYPE_CHECKING:
    import psycopg

# A role is trusted that can act as the current one anyway: itself, its members, superusers. An
# ordinary role trusts also the roles of which it has all rights. PUBLIC is never trusted.
_UNTRUSTED = """
    FROM writers w LEFT JOIN pg_catalog.pg_roles o ON o.oid = w.role, me
    WHERE w.role = 0 OR NOT (
        o.rolsuper OR o.oid = me.oid OR pg_catalog.pg_has_role(o.oid, me.oid, 'MEMBER')
        OR (NOT me.rolsuper AND pg_catalog.pg_has_role(o.oid, 'USAGE')))
"""
_ME = "me AS (SELECT oid, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)"
# Who can act as a role that may write, may write.
_MEMBERS = """
    SELECT m.member, CASE w.how WHEN 'data' THEN w.how ELSE 'grant' END
    FROM writers w JOIN pg_catalog.pg_roles o ON o.oid = w.role
    JOIN pg_catalog.pg_auth_members m ON m.roleid = w.role, me
    WHERE NOT o.rolsuper AND o.oid <> me.oid
"""
_ALL_DATA = """
    SELECT m.member, 'data'::text FROM pg_catalog.pg_auth_members m
    JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE g.rolname = 'pg_write_all_data'
"""
_WRITER_OF_ALL = f"""
    WITH RECURSIVE {_ME}, writers (role, how) AS ({_ALL_DATA} UNION {_MEMBERS})
    SELECT o.rolname {_UNTRUSTED} ORDER BY 1 LIMIT 1
"""
# Asked before each look at the journal, so in one query, and by the schema's members: pg_class has
# no index by schema, and may hold 100,000 relations. Whose the schema and its tables are comes
# first. A role may also keep the current one out of what it owns: a superuser, say. The restore
# makes no triggers and rules there, so each of them is another's.
_DISTRUSTED = f"""
    WITH RECURSIVE {_ME}, schema AS (
        SELECT * FROM pg_catalog.pg_namespace WHERE nspname = 'restore_journal'
    ), members AS (
        SELECT d.classid, d.objid FROM schema n JOIN pg_catalog.pg_depend d ON d.refobjid = n.oid
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    ), tables AS (
        SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = ANY (ARRAY(
            SELECT m.objid FROM members m
            WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            UNION SELECT t.typrelid FROM members m JOIN pg_catalog.pg_type t ON t.oid = m.objid
            WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype = 'c'))
    ), acls (acl) AS (
        SELECT nspacl FROM schema UNION ALL SELECT relacl FROM tables
        UNION ALL SELECT a.attacl FROM pg_catalog.pg_attribute a JOIN tables c ON c.oid = a.attrelid
    ), writers (role, how) AS (
        (SELECT nspowner, 'owner'::text FROM schema
         UNION SELECT relowner, 'owner' FROM tables
         UNION SELECT x.grantee, 'grant' FROM acls, pg_catalog.aclexplode(acl) x
         WHERE x.privilege_type NOT IN ('SELECT', 'USAGE')
         UNION {_ALL_DATA} AND EXISTS (SELECT FROM schema))
        UNION {_MEMBERS}
    )
    (SELECT w.how, COALESCE(o.rolname, 'PUBLIC') {_UNTRUSTED}
     ORDER BY w.how <> 'owner', 1, 2 LIMIT 1)
    UNION ALL
    (SELECT 'trigger', pg_catalog.pg_get_userbyid(COALESCE(f.relowner, p.proowner))
     FROM pg_catalog.pg_trigger t JOIN tables c ON c.oid = t.tgrelid
     JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
     LEFT JOIN pg_catalog.pg_class f ON f.oid = t.tgconstrrelid
     UNION ALL
     SELECT 'trigger', pg_catalog.pg_get_userbyid(c.relowner)
     FROM pg_catalog.pg_rewrite r JOIN tables c ON c.oid = r.ev_class LIMIT 1)
    UNION ALL
    (SELECT 'unknown', c.relname FROM tables c
     WHERE c.relkind NOT IN ('i', 't') AND c.relname OPERATOR(pg_catalog.!~)
       '^(aside|restore|loads|shards|rejects|restore_(writes|ticks)|orphans(_(links|gone|left))?'
       '|(taken|twice)_[0-9_]+)$'
     ORDER BY 2 LIMIT 1)
    UNION ALL
    (SELECT 'hidden', pg_catalog.pg_get_userbyid(n.nspowner) FROM schema n
     WHERE NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        OR EXISTS (SELECT FROM tables c WHERE c.relkind = 'r'
                   AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')))
"""  # noqa: S608 - made of constants
_GRANTEES = load_query("journal_grants")
_RUNS = "SQL in it would run with your rights"
_ELSE = "read what restore_journal.aside holds, and run this again; or drop the schema"
_STOPPED = (
    "if a restore of that role was stopped, --resume or repair it as {0}; else drop the schema"
)
_MESSAGES = {
    "owner": f"schema restore_journal belongs to role {{0}}, whose {_RUNS}: {_STOPPED}",
    "hidden": "schema restore_journal belongs to role {0}, which keeps yours out of it: "
    + _STOPPED,
    "grant": f"role {{0}} may write to schema restore_journal, and {_RUNS}: revoke that, {_ELSE}",
    "data": "role {0} is a member of pg_write_all_data and may write to schema restore_journal, and"
    f" {_RUNS}: revoke that membership, {_ELSE}",
    "unknown": "schema restore_journal holds {0}, which no restore made, and is dropped at the end"
    " of a restore: rename that schema, or move what is in it",
    "trigger": "a trigger or a rule of role {0} stands on a table in schema restore_journal, and"
    f" would run with your rights: drop it, {_ELSE}",
}


def check_journal_trusted(conn: psycopg.Connection) -> None:
    """Raise if an untrusted role may write to the journal, or it holds foreign objects.

    Raises:
        LoadError: the line names the role or the object, and what to do.
    """
    row = conn.execute(_DISTRUSTED, prepare=True).fetchone()
    if row is not None:
        how, role = row
        raise LoadError(_MESSAGES[how].format(role))


def revoke_default_grants(conn: psycopg.Connection) -> None:
    """Revoke all default privileges on the journal, in the transaction that creates it.

    Call ``check_journal_trusted`` first: rights on objects that were there are no defaults.
    """
    for table, grantee, is_public in conn.execute(_GRANTEES).fetchall():
        kind = sql.SQL("SCHEMA" if table is None else "TABLE")
        name = sql.Identifier("restore_journal", *([] if table is None else [table]))
        role = sql.SQL("PUBLIC") if is_public else sql.Identifier(grantee)
        conn.execute(sql.SQL("REVOKE ALL ON {} {} FROM {} CASCADE").format(kind, name, role))


def writer_of_all(conn: psycopg.Connection) -> str | None:
    """Return an untrusted role that may write to every table, and so to the journal.

    Then a restore records nothing, as if the role could not create the journal's schema.
    """
    row = conn.execute(_WRITER_OF_ALL, prepare=True).fetchone()
    return None if row is None else str(row[0])


def unjournaled_warning(conn: psycopg.Connection) -> str:
    """Return a warning that says why nothing is recorded in the journal."""
    writer = writer_of_all(conn)
    if writer is None:
        [(role, database)] = conn.execute("SELECT current_user, current_database()").fetchall()
        line = f"role {role} may not create the schema in which a restore records what it does"
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
            sql.Identifier(database), sql.Identifier(role)
        )
        advice = f"; {grant.as_string(conn)} lets it"
    else:
        line = f"role {writer}, a member of pg_write_all_data, could change what a restore records"
        advice = ""
    return f"{line}: no key or index is dropped for the load, and it cannot be resumed{advice}"

"""Compares a database with what it was before a trial, object by object, by its system catalogs.

Whatever ``pg_dump --schema-only`` writes is compared, and what it leaves out: indexes that are not
valid, triggers of constraints that are disabled, prepared transactions, and functions, operators
and casts of PostgreSQL's own that were replaced. Rows, the values of sequences and statistics are
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

from harness.trial import row_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Connection = psycopg.Connection[Any]


class ObjectName(NamedTuple):
    """An object: its kind, in the server's words, and its name in full."""

    kind: str
    name: str


Snapshot = dict[ObjectName, dict[str, Any]]

# The first object id that no system object has.
_FIRST_ID = 16384
_SHOWN_CHARS = 60

# For each catalog, what its rows are told by beside their own fields: those that hold object ids or
# parsed expressions are left out, since both change if an object is dropped and made again.
_DEFINITIONS: dict[str, sql.SQL] = {
    "pg_am": sql.SQL(""),
    "pg_amop": sql.SQL(""),
    "pg_amproc": sql.SQL(""),
    "pg_attrdef": sql.SQL("'definition', pg_get_expr(t.adbin, t.adrelid)"),
    "pg_cast": sql.SQL("'function', t.castfunc::regprocedure"),
    "pg_class": sql.SQL(
        "'owner', pg_get_userbyid(t.relowner), 'method', (SELECT amname FROM pg_am"
        " WHERE oid = t.relam), 'tablespace', (SELECT spcname FROM pg_tablespace"
        " WHERE oid = t.reltablespace), 'of', t.reloftype::regtype,"
        " 'relacl', coalesce(t.relacl, acldefault((CASE t.relkind WHEN 'S' THEN 's' ELSE 'r' END)"
        '::"char", t.relowner)),'
        " 'parents', (SELECT jsonb_agg(inhparent::regclass ORDER BY inhseqno) FROM pg_inherits"
        " WHERE inhrelid = t.oid), 'bound', pg_get_expr(t.relpartbound, t.oid),"
        " 'toast', (SELECT reloptions FROM pg_class WHERE oid = t.reltoastrelid),"
        # Without these flags, PostgreSQL ignores what the table has.
        " 'has its indexes', t.relhasindex"
        " OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid),"
        " 'has its triggers', t.relhastriggers"
        " OR NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t.oid),"
        " 'has its rules', t.relhasrules"
        " OR NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = t.oid)"
    ),
    "pg_collation": sql.SQL("'owner', pg_get_userbyid(t.collowner)"),
    "pg_constraint": sql.SQL(
        "'definition', pg_get_constraintdef(t.oid), 'index', t.conindid::regclass"
    ),
    "pg_conversion": sql.SQL(""),
    "pg_default_acl": sql.SQL(""),
    "pg_event_trigger": sql.SQL(
        "'owner', pg_get_userbyid(t.evtowner), 'function', t.evtfoid::regprocedure"
    ),
    "pg_extension": sql.SQL("'owner', pg_get_userbyid(t.extowner)"),
    "pg_foreign_data_wrapper": sql.SQL("'owner', pg_get_userbyid(t.fdwowner)"),
    "pg_foreign_server": sql.SQL("'owner', pg_get_userbyid(t.srvowner)"),
    "pg_language": sql.SQL("'owner', pg_get_userbyid(t.lanowner)"),
    "pg_namespace": sql.SQL(
        "'owner', pg_get_userbyid(t.nspowner),"
        " 'nspacl', coalesce(t.nspacl, acldefault('n', t.nspowner))"
    ),
    "pg_opclass": sql.SQL(""),
    "pg_operator": sql.SQL("'owner', pg_get_userbyid(t.oprowner)"),
    "pg_opfamily": sql.SQL(""),
    "pg_policy": sql.SQL(
        "'using', pg_get_expr(t.polqual, t.polrelid),"
        " 'check', pg_get_expr(t.polwithcheck, t.polrelid),"
        " 'roles', (SELECT jsonb_agg(pg_get_userbyid(r) ORDER BY r) FROM unnest(t.polroles) AS r)"
    ),
    "pg_proc": sql.SQL(
        "'owner', pg_get_userbyid(t.proowner), 'returns', t.prorettype::regtype,"
        " 'proacl', coalesce(t.proacl, acldefault('f', t.proowner)),"
        " 'definition', CASE WHEN t.prokind <> 'a' THEN pg_get_functiondef(t.oid) END"
    ),
    "pg_publication": sql.SQL("'owner', pg_get_userbyid(t.pubowner)"),
    "pg_publication_namespace": sql.SQL(""),
    "pg_publication_rel": sql.SQL(""),
    "pg_rewrite": sql.SQL("'definition', pg_get_ruledef(t.oid)"),
    "pg_statistic_ext": sql.SQL(
        "'owner', pg_get_userbyid(t.stxowner), 'definition', pg_get_statisticsobjdef(t.oid)"
    ),
    "pg_transform": sql.SQL(""),
    "pg_trigger": sql.SQL("'definition', pg_get_triggerdef(t.oid)"),
    "pg_ts_config": sql.SQL(""),
    "pg_ts_dict": sql.SQL(""),
    "pg_ts_parser": sql.SQL(""),
    "pg_ts_template": sql.SQL(""),
    "pg_type": sql.SQL(
        "'owner', pg_get_userbyid(t.typowner),"
        " 'typacl', coalesce(t.typacl, acldefault('T', t.typowner)),"
        " 'base', format_type(t.typbasetype, t.typtypmod), "
        " 'collation', t.typcollation::regcollation, 'labels', (SELECT jsonb_agg(enumlabel"
        " ORDER BY enumsortorder) FROM pg_enum"
        " WHERE enumtypid = t.oid)"
    ),
    "pg_user_mapping": sql.SQL(""),
}
# Fields that change by themselves, or when a column or an index is made again as it was.
_VOLATILE = {
    *("relpages", "reltuples", "relallvisible", "relallfrozen", "relhasindex", "relhasrules"),
    *("relhastriggers", "relhassubclass", "relnatts", "relispopulated", "conkey", "confkey"),
    *("datname", "adnum", "tgattr", "polroles", "stxkeys", "prattrs", "attnum", "attcacheoff"),
    *("atthasmissing", "attmissingval", "indkey", "indoption", "indcheckxmin", "indnatts"),
}
# Temporary objects vanish with their session; those of TOAST belong to a table.
_PASSING = sql.Literal("^pg_(toast|temp|toast_temp)(_|$)")
_FILTERS: dict[str, sql.SQL] = {
    "pg_class": sql.SQL("t.relkind <> 't' AND t.relnamespace::regnamespace::text !~ {}"),
    "pg_constraint": sql.SQL("t.connamespace::regnamespace::text !~ {}"),
    "pg_namespace": sql.SQL("t.nspname !~ {}"),
    "pg_trigger": sql.SQL("NOT t.tgisinternal"),
    "pg_type": sql.SQL("t.typnamespace::regnamespace::text !~ {}"),
}
_RELATIONS = sql.SQL(
    "(SELECT oid, relkind FROM pg_class"
    " WHERE oid >= {} AND relnamespace::regnamespace::text !~ {}) AS r"
).format(sql.Literal(_FIRST_ID), _PASSING)
# What has no object id of its own: the kind, a name, and what it is told by.
_PARTS: dict[str, sql.SQL] = {
    "pg_attribute": sql.SQL("""
        SELECT 'column', t.attrelid::regclass || '.' || quote_ident(t.attname),
            {row} || jsonb_build_object('type', format_type(t.atttypid, t.atttypmod),
                'collation', t.attcollation::regcollation,
                'position', row_number() OVER (PARTITION BY t.attrelid ORDER BY t.attnum))
        FROM pg_attribute AS t JOIN {relations} ON r.oid = t.attrelid
        WHERE t.attnum > 0 AND NOT t.attisdropped
            AND (r.relkind NOT IN ('i', 'I') OR t.attstattarget >= 0)
    """),
    "pg_index": sql.SQL("""
        SELECT 'index', t.indexrelid::regclass::text,
            {row} || jsonb_build_object('definition', pg_get_indexdef(t.indexrelid))
        FROM pg_index AS t JOIN {relations} ON r.oid = t.indexrelid
    """),
    "pg_sequence": sql.SQL("""
        SELECT 'sequence', t.seqrelid::regclass::text,
            {row} || jsonb_build_object('type', t.seqtypid::regtype, 'owner',
                (SELECT refobjid::regclass || '.' || refobjsubid FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND objid = t.seqrelid AND objsubid = 0
                    AND refobjsubid > 0 AND deptype IN ('a', 'i')))
        FROM pg_sequence AS t
    """),
    "pg_trigger": sql.SQL("""
        SELECT 'trigger of constraint', c.conname || ' on ' || t.tgrelid::regclass || ': '
            || t.tgfoid::regproc, jsonb_build_object('enabled', t.tgenabled)
        FROM pg_trigger AS t JOIN pg_constraint AS c ON c.oid = t.tgconstraint
        WHERE t.tgisinternal
    """),
    "pg_description": sql.SQL("""
        SELECT 'comment on', pg_describe_object(t.classoid, t.objoid, t.objsubid), {row}
        FROM pg_description AS t WHERE t.objoid >= {first_id} OR t.objoid = 'public'::regnamespace
    """),
    "pg_seclabel": sql.SQL("""
        SELECT 'label of', pg_describe_object(t.classoid, t.objoid, t.objsubid), {row}
        FROM pg_seclabel AS t
    """),
    "pg_db_role_setting": sql.SQL("""
        SELECT 'settings of', coalesce('role ' || r.rolname, 'all roles')
            || CASE t.setdatabase WHEN 0 THEN '' ELSE ' in this database' END, {row}
        FROM pg_db_role_setting AS t LEFT JOIN pg_roles AS r ON r.oid = t.setrole
        WHERE t.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    """),
    "pg_aggregate": sql.SQL("""
        SELECT 'aggregate', t.aggfnoid::regprocedure::text, {row}
        FROM pg_aggregate AS t WHERE t.aggfnoid::oid >= {first_id}
    """),
    "pg_depend": sql.SQL("""
        SELECT 'member of extension', e.extname || ': '
            || pg_describe_object(t.classid, t.objid, t.objsubid),
            jsonb_build_object('as', t.deptype)
        FROM pg_depend AS t JOIN pg_extension AS e ON e.oid = t.refobjid
        WHERE t.refclassid = 'pg_extension'::regclass
    """),
    "pg_database": sql.SQL("""
        SELECT 'database', 'itself', {row} || jsonb_build_object(
            'owner', pg_get_userbyid(t.datdba), 'tablespace', t.dattablespace)
        FROM pg_database AS t WHERE t.datname = current_database()
    """),
    "pg_largeobject_metadata": sql.SQL("""
        SELECT 'large object', t.oid::text,
            {row} || jsonb_build_object('owner', pg_get_userbyid(t.lomowner))
        FROM pg_largeobject_metadata AS t
    """),
    "pg_prepared_xacts": sql.SQL("""
        SELECT 'prepared transaction', t.gid, '{{}}'::jsonb
        FROM pg_prepared_xacts AS t WHERE t.database = current_database()
    """),
}
# PostgreSQL's own functions and their like, which a superuser can replace or overload.
# An update of a row changes its ``xmin``. Their object ids stand in these fields.
_SYSTEM = {
    **dict.fromkeys(
        ("pg_am", "pg_amop", "pg_amproc", "pg_cast", "pg_collation", "pg_opclass"), "oid"
    ),
    **dict.fromkeys(("pg_operator", "pg_opfamily", "pg_proc", "pg_rewrite", "pg_type"), "oid"),
    "pg_aggregate": "aggfnoid",
}
_FIELDS = """
    SELECT c.relname, array_agg(a.attname::text) FILTER (WHERE a.attname = ANY(%s) OR a.atttypid IN
        ('oid'::regtype, 'oidvector'::regtype, 'oid[]'::regtype, 'pg_node_tree'::regtype,
        'xid'::regtype))
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped
    WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY(%s)
        AND has_table_privilege(c.oid, 'SELECT')
    GROUP BY c.relname ORDER BY c.relname
"""
_OBJECTS = sql.SQL("""
    SELECT o.type, o.identity, to_jsonb(t) - {left_out}::text[] || jsonb_build_object({definition})
    FROM {catalog} AS t,
        pg_identify_object({catalog_name}::regclass, t.oid, 0) AS o
    WHERE (t.oid >= {first_id} OR o.identity = 'public') AND {condition}
""")
_FINGERPRINT = sql.SQL("""
    SELECT 'system catalog', {catalog_name}, jsonb_build_object('rows', count(*),
        'writes', sum(hashtext(t.xmin::text))) FROM {catalog} AS t WHERE t.{id}::oid < {first_id}
""")


def snapshot(connection: Connection) -> Snapshot:
    """Return all objects of a database with their definitions; the session's settings change.

    Raises:
        psycopg.Error: a catalog cannot be read.
    """
    row_hash.prepare(connection)
    names = [*_DEFINITIONS, *_PARTS, *_SYSTEM]
    fields = connection.execute(_FIELDS, [list(_VOLATILE), names]).fetchall()
    query = sql.SQL(" UNION ALL ").join(_queries(dict(fields)))
    return {ObjectName(kind, name): found for kind, name, found in connection.execute(query)}


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Describe each object that is missing, new or changed, in a line."""
    lines = [f"{one.kind} {one.name} is missing" for one in before if one not in after]
    lines += [f"{one.kind} {one.name} is new" for one in after if one not in before]
    for one, definition in before.items():
        changes = [*changed_fields(definition, after.get(one, definition))]
        if changes:
            lines.append(f"{one.kind} {one.name}: {', '.join(changes)}")
    return lines


def _queries(left_out: Mapping[str, list[str] | None]) -> Iterator[sql.Composable]:
    """Yield a query for each catalog that this server has and lets us read."""
    for catalog, fields in left_out.items():
        names = {
            "catalog": sql.Identifier(catalog),
            "catalog_name": sql.Literal(catalog),
            "first_id": sql.Literal(_FIRST_ID),
            "left_out": sql.Literal(fields or []),
        }
        if catalog in _DEFINITIONS:
            condition = _FILTERS.get(catalog, sql.SQL("true")).format(_PASSING)
            yield _OBJECTS.format(**names, definition=_DEFINITIONS[catalog], condition=condition)
        if catalog in _PARTS:
            row = sql.SQL("(to_jsonb(t) - {}::text[])").format(names["left_out"])
            yield _PARTS[catalog].format(**names, row=row, relations=_RELATIONS)
        if catalog in _SYSTEM:
            yield _FINGERPRINT.format(**names, id=sql.Identifier(_SYSTEM[catalog]))


def changed_fields(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield each field of an object that changed, with both values."""
    for field in {**before, **after}:
        was, now = before.get(field), after.get(field)
        if was != now:
            yield f"{field} is {_shown(now)}, was {_shown(was)}"


def _shown(value: object) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."

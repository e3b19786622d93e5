-- All tables that refer to these, directly or over others, and whom each of them refers to.
WITH RECURSIVE link (child, parent) AS (
    SELECT conrelid, confrelid FROM pg_constraint
    WHERE contype = 'f' AND conparentid = 0 AND conrelid <> confrelid
), found (child, parent) AS (
    SELECT child, parent FROM link WHERE parent = ANY(%(oids)s) AND NOT child = ANY(%(oids)s)
    UNION SELECT l.child, l.parent FROM found f JOIN link l ON l.parent = f.child
    WHERE NOT l.child = ANY(%(oids)s)
)
SELECT f.child, n.nspname, c.relname, c.relkind, n.nspname = ANY(%(schemas)s), f.parent,
       p.relname
FROM found f JOIN pg_class c ON c.oid = f.child JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = f.parent
ORDER BY c.relname, p.relname

-- Partitions have keys of their own, and those of the tables that they are partitions of; others may
-- refer to them alone. So each key comes once for each given table that it concerns, with the table
-- that has it, and with the one that it refers to, where these are not the given ones (kin).
-- A key that is NOT ENFORCED, in PostgreSQL 18, forbids nothing; it depends on its parent's key.
-- Operators, casts and collations are those of PostgreSQL's own check, see RI_Initial_Check and
-- generate_operator_clause in its ri_triggers.c and ruleutils.c.
WITH RECURSIVE above (oid, given, level, columns) AS (
    SELECT u.oid, u.oid, 0, '{}'::name[] FROM unnest(%(oids)s::oid[]) AS u(oid)
    UNION SELECT i.inhparent, a.given, a.level - 1, a.columns
    FROM above a JOIN pg_class c ON c.oid = a.oid AND c.relispartition
    JOIN pg_inherits i ON i.inhrelid = a.oid
), below (oid, given, level, columns) AS (
    SELECT u.oid, u.oid, 0, '{}'::name[] FROM unnest(%(oids)s::oid[]) AS u(oid)
    UNION SELECT i.inhrelid, b.given, b.level + 1, b.columns || ARRAY(
        SELECT a.attname FROM unnest(t.partattrs::int2[]) AS u(num)
        LEFT JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum = NULLIF(u.num, 0))
    FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
    JOIN pg_partitioned_table t ON t.partrelid = b.oid
), kin (oid, given, level, facts) AS (
    SELECT f.oid, f.given, f.level,
           CASE WHEN f.oid <> f.given THEN jsonb_build_object(
               'oid', f.oid::int8, 'schema', n.nspname, 'name', c.relname,
               'partitioned', c.relkind = 'p', 'is_above', f.level < 0,
               'decided_by', f.columns) END
    FROM (TABLE above UNION TABLE below) f
    JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
)
SELECT f.given, k.conname, COALESCE(g.given, k.confrelid),
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY ord),
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY ord),
       pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'),
       ARRAY(SELECT ARRAY[
                 CASE WHEN o.oprleft <> p.atttypid
                      THEN format('::%%I.%%I', ls.nspname, l.typname) ELSE '' END,
                 format('OPERATOR(%%I.%%s)', s.nspname, o.oprname),
                 CASE WHEN o.oprright <> a.atttypid
                      THEN format('::%%I.%%I', rs.nspname, r.typname) ELSE '' END
                 || CASE WHEN p.attcollation <> a.attcollation AND c.oid IS NOT NULL
                         THEN format(' COLLATE %%I.%%I', cs.nspname, c.collname) ELSE '' END]
             FROM unnest(k.conpfeqop, k.conkey, k.confkey)
                  WITH ORDINALITY AS u(op, own, other, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own
             JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = u.other
             JOIN pg_operator o ON o.oid = u.op JOIN pg_namespace s ON s.oid = o.oprnamespace
             JOIN pg_type l ON l.oid = o.oprleft JOIN pg_namespace ls ON ls.oid = l.typnamespace
             JOIN pg_type r ON r.oid = o.oprright
             JOIN pg_namespace rs ON rs.oid = r.typnamespace
             LEFT JOIN pg_collation c ON c.oid = p.attcollation
             LEFT JOIN pg_namespace cs ON cs.oid = c.collnamespace
             ORDER BY u.ord),
       COALESCE((to_jsonb(k)->>'conperiod')::boolean, false),
       k.confmatchtype = 'f', k.convalidated,
       COALESCE((to_jsonb(k)->>'conenforced')::boolean, true), f.facts, g.facts
FROM pg_constraint k JOIN kin f ON f.oid = k.conrelid LEFT JOIN kin g ON g.oid = k.confrelid
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY f.given, f.level, k.conrelid, k.conname, g.given

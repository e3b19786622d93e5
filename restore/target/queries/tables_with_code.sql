-- Functions of PostgreSQL itself are not in pg_depend: they read no table.
WITH RECURSIVE tree (root, oid) AS (
    SELECT c.oid, c.oid FROM pg_class c WHERE c.oid = ANY(%s)
    UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
), types (root, oid) AS (
    SELECT t.root, a.atttypid FROM tree t JOIN pg_attribute a ON a.attrelid = t.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT u.root, v.oid FROM types u JOIN pg_type w ON w.oid = u.oid
    JOIN pg_type v ON v.oid IN (w.typbasetype, w.typelem)
), parts (root, class, oid) AS (
    SELECT t.root, 'pg_constraint'::regclass, k.oid
    FROM tree t JOIN pg_constraint k ON k.conrelid = t.oid WHERE k.contype = 'c'
    UNION ALL
    SELECT t.root, 'pg_constraint'::regclass, k.oid
    FROM types t JOIN pg_constraint k ON k.contypid = t.oid
    UNION ALL
    SELECT t.root, 'pg_attrdef'::regclass, d.oid
    FROM tree t JOIN pg_attrdef d ON d.adrelid = t.oid
    UNION ALL
    SELECT t.root, 'pg_class'::regclass, i.indexrelid
    FROM tree t JOIN pg_index i ON i.indrelid = t.oid
)
SELECT DISTINCT p.root FROM parts p
JOIN pg_depend d ON d.classid = p.class AND d.objid = p.oid
WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)

-- A table's indexes are locked with it, and its TOAST table with its own index.
WITH RECURSIVE tree (root, oid) AS (
    SELECT u.oid, u.oid FROM unnest(%s::oid[]) AS u(oid)
    UNION ALL SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
    JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
)
SELECT t.root, c.oid, n.nspname, c.relname, c.relkind,
       1 + (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid)
       + CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE 2 END
FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace

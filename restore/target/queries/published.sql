SELECT DISTINCT c.oid FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT c.oid UNION SELECT relid FROM pg_partition_ancestors(c.oid)
                    UNION SELECT relid FROM pg_partition_tree(c.oid)) f (oid)
JOIN pg_class p ON p.oid = f.oid JOIN pg_namespace m ON m.oid = p.relnamespace
JOIN pg_publication_tables t ON (t.schemaname, t.tablename) = (m.nspname, p.relname)
WHERE c.oid = ANY(%s)

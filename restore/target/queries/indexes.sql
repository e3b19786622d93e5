-- Left in place: indexes of partitioned tables and of partitions, which hang on one another; those
-- of exclusion constraints (WITHOUT OVERLAPS is one too), which compare in their own way; invalid
-- ones; members of extensions; those that the role could not make again; and a published table's
-- replica identity, without which nothing could be deleted from it; and those that call a function
-- whose body finds names by the search path, which is the users' while rows are loaded.
WITH published (schema_name, table_name) AS MATERIALIZED (
    SELECT t.schemaname, t.tablename FROM pg_publication_tables t
    JOIN pg_publication p ON p.pubname = t.pubname WHERE p.pubupdate OR p.pubdelete
)
SELECT i.indrelid, c.oid, c.relname, pg_get_indexdef(c.oid), s.spcname,
       CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END,
       COALESCE(k.condeferrable, false), COALESCE(k.condeferred, false),
       obj_description(c.oid, 'pg_class'), obj_description(k.oid, 'pg_constraint'),
       i.indisclustered, i.indisreplident,
       ARRAY(SELECT ARRAY[a.attnum::int, a.attstattarget::int] FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum),
       ARRAY(SELECT e.extname::text
             FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x' ORDER BY 1)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class r ON r.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_constraint k ON k.conrelid = i.indrelid AND k.conindid = c.oid
                         AND k.contype IN ('p', 'u')
WHERE i.indrelid = ANY(%s) AND r.relkind = 'r' AND NOT r.relispartition
  AND i.indisvalid AND i.indisready AND i.indislive AND NOT i.indisexclusion
  AND has_schema_privilege(n.oid, 'CREATE')
  AND (s.oid IS NULL OR has_tablespace_privilege(s.oid, 'CREATE'))
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.deptype = 'e' AND ((d.classid = 'pg_class'::regclass
                                              AND d.objid = c.oid)
                     OR (d.classid = 'pg_constraint'::regclass AND d.objid = k.oid)))
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_proc f ON f.oid = d.refobjid
                  JOIN pg_language l ON l.oid = f.prolang
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_proc'::regclass
                    AND l.lanname NOT IN ('internal', 'c')
                    AND to_jsonb(f)->>'prosqlbody' IS NULL
                    AND NOT COALESCE(f.proconfig::text LIKE '%%search_path=%%', false))
  AND NOT ((i.indisreplident OR (r.relreplident = 'd' AND i.indisprimary))
           AND EXISTS (SELECT FROM published p
                       WHERE (p.schema_name, p.table_name) = (n.nspname, r.relname)))
ORDER BY i.indrelid, c.oid

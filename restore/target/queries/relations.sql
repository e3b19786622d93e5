-- Without a schema of the user's, a bare name means what the search path finds.
SELECT c.oid, n.nspname, c.relname, c.relkind,
       n.nspname = ANY(%(schemas)s) AND 1 = rank() OVER (
           PARTITION BY c.relname ORDER BY array_position(%(schemas)s, n.nspname::text))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'restore_journal')
ORDER BY n.nspname, c.relname

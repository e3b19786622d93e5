-- Triggers that are the user's own, in tables and their partitions, and that would fire in this
-- session. Citus and TimescaleDB make some that they need. Those that come from a partitioned table's own have it as their parent; in servers before
-- 15 these count as internal.
SELECT n.nspname, c.relname, t.tgname, t.tgenabled, pg_has_role(c.relowner, 'USAGE')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgrelid = ANY(%s) AND (NOT t.tgisinternal OR t.tgparentid <> 0)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')
  AND t.tgenabled = ANY(CASE current_setting('session_replication_role')
                        WHEN 'replica' THEN '{A,R}'::"char"[] ELSE '{A,O}'::"char"[] END)
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid
                    AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                    AND e.extname IN ('citus', 'timescaledb'))
ORDER BY 1, 2, 3

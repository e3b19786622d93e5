-- ON UPDATE is event 2, ON INSERT 3. Rules that do not apply in this session are in the way of an
-- ON CONFLICT all the same.
SELECT c.relname, r.rulename, CASE r.ev_type WHEN '3' THEN 'INSERT' ELSE 'UPDATE' END
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.ev_class = ANY(%(oids)s) AND r.ev_type = ANY(%(events)s)
  AND (%(all)s OR r.ev_enabled = ANY(CASE current_setting('session_replication_role')
                         WHEN 'replica' THEN '{A,R}'::"char"[] ELSE '{A,O}'::"char"[] END))
ORDER BY 1, 2

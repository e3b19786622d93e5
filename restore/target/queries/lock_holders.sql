-- A session of another role shows no state and no query to a role without pg_read_all_stats.
SELECT DISTINCT ON (l.pid) c.relname, l.mode, l.pid, a.usename,
       a.application_name, a.state, now() - a.xact_start, a.query_start, a.query
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY(%s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY l.pid, a.xact_start

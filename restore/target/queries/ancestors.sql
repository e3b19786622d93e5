WITH RECURSIVE above (oid, ancestor) AS (
    SELECT inhrelid, inhparent FROM pg_inherits WHERE inhrelid = ANY(%(oids)s)
    UNION SELECT a.oid, i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.ancestor
)
SELECT a.oid, a.ancestor, c.relispartition
FROM above a JOIN pg_class c ON c.oid = a.oid
WHERE a.ancestor = ANY(%(oids)s) ORDER BY 1, 2

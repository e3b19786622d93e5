-- What fires in this session: DELETE rules, and BEFORE DELETE triggers for each row (bits 1, 2 and 8
-- of tgtype, see PostgreSQL's catalog/pg_trigger.h).
SELECT r.ev_class, 'rule ' || r.rulename FROM pg_rewrite r
WHERE r.ev_class = ANY(%(oids)s) AND r.ev_type = '4' AND r.ev_enabled = ANY(%(enabled)s)
UNION ALL
SELECT t.tgrelid, 'trigger ' || t.tgname FROM pg_trigger t
WHERE %(triggers)s AND t.tgrelid = ANY(%(oids)s) AND NOT t.tgisinternal
  AND t.tgtype & 11 = 11 AND t.tgenabled = ANY(%(enabled)s)
ORDER BY 1, 2

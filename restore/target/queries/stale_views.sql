-- Views over a table, over its partitions, and over what it is a partition of; views over views.
-- One that was made later may read an earlier one, never the other way round.
WITH RECURSIVE family (oid) AS (
    SELECT unnest(%(oids)s::oid[])
    UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
), above (oid) AS (
    SELECT oid FROM family
    UNION SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid
), over (oid) AS (
    SELECT oid FROM above
    UNION SELECT r.ev_class FROM over o
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.oid
                    AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid
)
SELECT format('%%I.%%I', n.nspname, c.relname)
FROM over o JOIN pg_class c ON c.oid = o.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' ORDER BY c.oid

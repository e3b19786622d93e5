-- Sequences that belong to a column, serial ('a') or identity ('i'), and those in its default.
WITH uses (relation, number, sequence) AS (
    SELECT refobjid, refobjsubid, objid FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
      AND deptype IN ('a', 'i') AND refobjid = ANY(%(oids)s)
    UNION
    SELECT ad.adrelid, ad.adnum, d.refobjid FROM pg_attrdef ad
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid
                    AND d.refclassid = 'pg_class'::regclass
    WHERE ad.adrelid = ANY(%(oids)s)
)
SELECT u.relation, a.attname, n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax,
       has_sequence_privilege(c.oid, 'UPDATE') AND has_sequence_privilege(c.oid, 'SELECT')
           AND has_column_privilege(u.relation, a.attnum, 'SELECT'),
       COALESCE(NULLIF(t.typbasetype, 0), t.oid)
           IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
FROM uses u
JOIN pg_sequence s ON s.seqrelid = u.sequence
JOIN pg_class c ON c.oid = u.sequence
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number
JOIN pg_type t ON t.oid = a.atttypid
ORDER BY u.relation, a.attnum, c.relname

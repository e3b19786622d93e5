-- Defaults that call a function which may write. Those of PostgreSQL itself are in no pg_depend, and
-- those of extensions make values, such as uuid_generate_v4().
SELECT DISTINCT ad.adrelid, a.attname, p.proname
FROM pg_attrdef ad JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid
                AND d.refclassid = 'pg_proc'::regclass
JOIN pg_proc p ON p.oid = d.refobjid AND p.provolatile = 'v'
WHERE ad.adrelid = ANY(%s) AND a.attgenerated = ''
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass
                    AND e.objid = p.oid AND e.deptype = 'e')
ORDER BY 1, 2, 3

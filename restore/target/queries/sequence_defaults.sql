-- Defaults that draw from a sequence, and how the sequence stands in them.
SELECT DISTINCT ad.adrelid, a.attname, pg_get_expr(ad.adbin, ad.adrelid), d.refobjid,
       quote_literal(d.refobjid::regclass) || '::regclass'
FROM pg_attrdef ad JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid
                AND d.refclassid = 'pg_class'::regclass
JOIN pg_sequence s ON s.seqrelid = d.refobjid
WHERE ad.adrelid = ANY(%s)

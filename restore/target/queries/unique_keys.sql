-- Keys that an INSERT ... ON CONFLICT can name: whole, immediate, without expressions, and that
-- compare by equality, as those WITHOUT OVERLAPS do not.
SELECT i.indrelid, c.relname, i.indisprimary,
       ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(num, ord)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num
             WHERE u.ord <= i.indnkeyatts ORDER BY ord)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, NOT i.indisprimary, c.relname

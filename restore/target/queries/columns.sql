SELECT attrelid, attname, atttypid, atttypmod, attnotnull,
       atthasdef OR attidentity <> '' OR t.typdefault IS NOT NULL, attgenerated <> '',
       attidentity,
       attgenerated <> '' OR has_column_privilege(attrelid, attnum, 'INSERT')
FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
WHERE attrelid = ANY(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid, attnum

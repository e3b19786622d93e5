-- Two keys are alike for "=" if the operator class is the type's own and the collation tells
-- apart what differs in any byte.
SELECT i.indexrelid,
       ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(num, ord)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num
                                     AND u.num <> 0
             WHERE u.ord <= i.indnkeyatts ORDER BY u.ord),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false)
             FROM generate_series(1, i.indnkeyatts) n ORDER BY n),
       NOT EXISTS (SELECT FROM unnest(i.indclass::oid[]) u(oid)
                   JOIN pg_opclass o ON o.oid = u.oid WHERE NOT o.opcdefault)
       AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
                       WHERE a.attrelid IN (i.indexrelid, i.indrelid)
                         AND NOT a.attisdropped AND NOT l.collisdeterministic),
       pg_get_expr(i.indpred, i.indrelid),
       COALESCE((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false)
FROM pg_index i WHERE i.indexrelid = ANY(%s) AND i.indisunique

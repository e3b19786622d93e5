-- Strategy 3 of a B-tree is its equality; an exclusion constraint names its operators itself, also
-- one of WITHOUT OVERLAPS. Expressions come with PostgreSQL's own names unqualified.
SELECT c.relname,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false)
             FROM generate_series(1, i.indnkeyatts) n ORDER BY n),
       ARRAY(SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
             FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS u(class, n)
             JOIN pg_opclass k ON k.oid = u.class
             LEFT JOIN pg_amop a ON a.amopfamily = k.opcfamily AND a.amopstrategy = 3
                   AND a.amoplefttype = k.opcintype AND a.amoprighttype = k.opcintype
                   AND NOT i.indisexclusion
             JOIN pg_operator o ON o.oid = COALESCE(x.conexclop[u.n], a.amopopr)
             JOIN pg_namespace s ON s.oid = o.oprnamespace
             WHERE u.n <= i.indnkeyatts ORDER BY u.n),
       pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT CASE WHEN l.oid IS NOT NULL
                    THEN format(' COLLATE %%I.%%I', s.nspname, l.collname) ELSE '' END
             FROM unnest(i.indcollation::oid[]) WITH ORDINALITY AS u(collation_oid, n)
             LEFT JOIN pg_collation l ON l.oid = u.collation_oid
             LEFT JOIN pg_namespace s ON s.oid = l.collnamespace
             WHERE u.n <= i.indnkeyatts ORDER BY u.n),
       COALESCE((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false) AND NOT i.indisexclusion,
       i.indimmediate
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_constraint x ON x.conindid = i.indexrelid AND x.conrelid = i.indrelid
                         AND x.conexclop IS NOT NULL
WHERE i.indrelid = to_regclass(%s) AND (i.indisunique OR i.indisexclusion)
  AND i.indisvalid AND i.indisready
ORDER BY NOT i.indisprimary, c.relname

-- A key that is NOT ENFORCED, in PostgreSQL 18, forbids nothing; it depends on its parent's key.
-- Operators, casts and collations are those of PostgreSQL's own check, see RI_Initial_Check and
-- generate_operator_clause in its ri_triggers.c and ruleutils.c.
SELECT k.conrelid, k.conname, k.confrelid,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY ord),
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY ord),
       pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'),
       ARRAY(SELECT ARRAY[
                 CASE WHEN o.oprleft <> p.atttypid
                      THEN format('::%%I.%%I', ls.nspname, l.typname) ELSE '' END,
                 format('OPERATOR(%%I.%%s)', s.nspname, o.oprname),
                 CASE WHEN o.oprright <> a.atttypid
                      THEN format('::%%I.%%I', rs.nspname, r.typname) ELSE '' END
                 || CASE WHEN p.attcollation <> a.attcollation AND c.oid IS NOT NULL
                         THEN format(' COLLATE %%I.%%I', cs.nspname, c.collname) ELSE '' END]
             FROM unnest(k.conpfeqop, k.conkey, k.confkey)
                  WITH ORDINALITY AS u(op, own, other, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own
             JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = u.other
             JOIN pg_operator o ON o.oid = u.op JOIN pg_namespace s ON s.oid = o.oprnamespace
             JOIN pg_type l ON l.oid = o.oprleft JOIN pg_namespace ls ON ls.oid = l.typnamespace
             JOIN pg_type r ON r.oid = o.oprright
             JOIN pg_namespace rs ON rs.oid = r.typnamespace
             LEFT JOIN pg_collation c ON c.oid = p.attcollation
             LEFT JOIN pg_namespace cs ON cs.oid = c.collnamespace
             ORDER BY u.ord),
       COALESCE((to_jsonb(k)->>'conperiod')::boolean, false),
       k.confmatchtype = 'f', k.convalidated,
       COALESCE((to_jsonb(k)->>'conenforced')::boolean, true)
FROM pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY(%s)
ORDER BY k.conrelid, k.conname

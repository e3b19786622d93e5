-- Rights on some columns may be enough: which ones, the records tell.
SELECT c.oid, n.nspname, c.relname, pg_has_role(c.relowner, 'USAGE'),
       c.relrowsecurity AND row_security_active(c.oid), c.relforcerowsecurity,
       has_schema_privilege(n.oid, 'USAGE'),
       has_table_privilege(c.oid, 'SELECT'),
       has_any_column_privilege(c.oid, 'SELECT'), has_any_column_privilege(c.oid, 'INSERT'),
       has_table_privilege(c.oid, 'TRUNCATE'), has_table_privilege(c.oid, 'UPDATE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY(%s) ORDER BY n.nspname, c.relname

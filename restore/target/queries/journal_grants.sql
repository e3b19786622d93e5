SELECT NULL, pg_catalog.pg_get_userbyid(x.grantee), x.grantee = 0
FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) x
WHERE n.nspname = 'restore_journal' AND x.grantee <> n.nspowner
UNION
SELECT c.relname, pg_catalog.pg_get_userbyid(x.grantee), x.grantee = 0
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
     pg_catalog.aclexplode(c.relacl) x
WHERE n.nspname = 'restore_journal' AND x.grantee <> c.relowner

WITH RECURSIVE below (oid) AS (
    SELECT unnest(%s::oid[])
    UNION SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
          JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
)
SELECT oid FROM below

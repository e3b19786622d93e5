WITH RECURSIVE below (oid) AS (
    SELECT unnest(%(oids)s::oid[])
    UNION SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
          JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition OR i.inhparent = ANY(%(scattered)s)
)
SELECT oid FROM below

-- Drops the keys and indexes of the tables, and keeps the statements that recreate them. Foreign
-- keys are dropped first, as they need the keys that they refer to, and recreated last.
CREATE TEMPORARY TABLE recreated ON COMMIT DROP AS
SELECT
    row_number() OVER (ORDER BY contype = 'f', conname) AS position,
    format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS dropped,
    format(
        'ALTER TABLE %s ADD CONSTRAINT %I %s',
        conrelid::regclass, conname, pg_get_constraintdef(oid)
    ) AS statement
FROM pg_constraint
WHERE conrelid = ANY (ARRAY[:tables]::regclass[]) AND contype IN ('f', 'p', 'u', 'x')
UNION ALL
SELECT
    0,
    format('DROP INDEX %s', indexrelid::regclass),
    pg_get_indexdef(indexrelid)
FROM pg_index
WHERE indrelid = ANY (ARRAY[:tables]::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid);

SELECT dropped FROM recreated ORDER BY position DESC \gexec

"""What ``--help`` prints around the options, by command."""

from __future__ import annotations

PATHS = {"restore": "BACKUP", "retry": "REJECTS", "repair": "", "infer": "BACKUP"}
PATH_HELP = {"restore": "what to restore", "retry": "what to restore", "infer": "what to read"}
DESCRIPTIONS = {
    "restore": """\
Restore a JSON backup into a PostgreSQL database whose schema exists, in bounded memory. A record
that cannot be restored is kept, with the reason.

BACKUP is a folder of table files (users.json, .jsonl or .ndjson, each also .gz, .zst, .xz or .bz2),
a .tar or .zip of one, a root of folders named YYYYMMDD_HHMMSS, of which the newest is restored, one
table file, or one file with several tables under keys; or the URL of one of these in a store
(s3://bucket/backups, also gs, az, https, sftp). `{0} retry REJECTS` restores rejects after you have
repaired them.
""",
    "retry": """\
Restore rejects that have been repaired. REJECTS is the folder of <table>.jsonl files that a restore
has written, or one of these files.
""",
    "infer": """\
Print a schema that takes all records of a backup: CREATE TABLE statements with types, primary keys
and foreign keys, each with the evidence for it as a comment. No database is needed.
""",
    "repair": """\
Recreate the indexes, keys and triggers that an unfinished restore has dropped, as recorded in the
database. Unless it is resumed, no other restore starts before that.
""",
}
EXAMPLES = """\
examples:
  {0} backups --dsn postgresql://me@localhost/shop
  {0} backups/20240101_000000 --dsn service=shop --clean --report report.json
  {0} s3://bucket/backups --dsn service=shop --rejects s3://bucket/rejects/monday
  {0} users.json.gz --map users=public.app_users --append --on-conflict skip
  {0} retry rejects/20240101_000000-20240102T030405Z --dsn service=shop
  {0} repair --dsn service=shop
  {0} infer backups --out schema.sql
"""
EXIT_CODES = """\
exit codes:
  0  all restored, or repaired
  3  finished with rejects, or a file is truncated; of infer: some records will be rejected
  1  failed, or stopped before the end
  2  invalid usage or input

Options also come from the environment (RESTORE_CLEAN=yes) and from [tool.restore] in restore.toml
or pyproject.toml; the command line takes precedence. Write a backup folder named retry, repair or
infer as ./retry, ./repair or ./infer.
"""

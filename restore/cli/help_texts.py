"""What ``--help`` says around the options."""

from __future__ import annotations

DESCRIPTION = """\
Restore a JSON backup into a PostgreSQL database whose schema exists, in bounded memory, and keep
every record that cannot be restored, with the reason.

BACKUP is a folder of table files (users.json, .jsonl or .ndjson, each also .gz or .zst), a root of
folders named YYYYMMDD_HHMMSS, of which the newest is taken, one table file, or one file that holds
several tables under keys. `{0} retry REJECTS` restores rejects after their repair.
"""
RETRY_DESCRIPTION = """\
Restore records that could not be restored and are repaired now. REJECTS is the folder of
<table>.jsonl files that a restore has left, or one of these files.
"""
REPAIR_DESCRIPTION = """\
Bring back the indexes, keys and triggers that a restore which was killed has left aside, by the
notes that it left in the database. No restore starts before that is done.
"""
EXAMPLES = """\
examples:
  {0} backups --dsn postgresql://me@localhost/shop
  {0} backups/20240101_000000 --dsn service=shop --clean --report report.json
  {0} users.json.gz --map users=public.app_users --append --on-conflict skip
  {0} retry rejects/20240101_000000-20240102T030405Z --dsn service=shop
  {0} repair --dsn service=shop
"""
EXIT_CODES = """\
exit codes:
  0  all restored, or repaired
  3  finished, with rejects, or a file is cut off
  1  failed, or stopped before the end
  2  usage or input that makes no sense

Options also come from the environment (RESTORE_CLEAN=yes) and from [tool.restore] in restore.toml
or pyproject.toml; the command line goes first. A backup folder that is named retry or repair is
written ./retry or ./repair.
"""

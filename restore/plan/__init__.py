"""The plan of a restore: files to tables, load order, rights, dry run."""

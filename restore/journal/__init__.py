"""Progress and dropped objects, kept in schema ``restore_journal``."""

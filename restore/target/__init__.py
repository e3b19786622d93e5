"""The target database: connections, catalog, errors, locks."""

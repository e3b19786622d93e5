"""The ways to restore that are compared."""

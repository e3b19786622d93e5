"""Reject files: written, read back, limited."""

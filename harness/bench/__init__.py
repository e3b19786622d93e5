"""A run: options, schedule, resume."""

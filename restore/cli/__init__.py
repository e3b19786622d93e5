"""The command line: arguments, settings, signals, progress, exit codes."""

"""What a restore reports: counts, reasons, events, next steps."""

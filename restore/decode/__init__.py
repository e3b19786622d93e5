"""JSON records to rows, in Python and in C."""

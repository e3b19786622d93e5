"""Reports: figures and records as blocks of text and tables, and as rows."""

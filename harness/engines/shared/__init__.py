"""What engines in Python share: their command line, and what they ask the database."""

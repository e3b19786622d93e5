"""A run of trials: its options, its schedule, and how it is resumed."""

"""A recording followed while it grows: its history, counts and words."""

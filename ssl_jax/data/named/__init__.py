"""Data sets with a name of their own."""

"""How much each named row takes: one subject a file, one row or operation a function."""

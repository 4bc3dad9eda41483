"""The formulas of the ledger's rows: one subject per file, one row or operation per function."""

"""The rows of a ledger: a rule for each named cause of memory, and what it is worked out from."""

"""The layout of each family's layers: the names of their linears, and the order of their operations."""

"""YAML read with places: every mistake is found at its line and column."""

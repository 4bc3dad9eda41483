"""The fields of a scenario: what each means, what it may be, and what it moves."""

"""A spec as a person writes it: pydantic models of what may stand where."""

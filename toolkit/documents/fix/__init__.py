"""Repairs of quotes: what a spec must say so that its claims are found again where the document states them."""

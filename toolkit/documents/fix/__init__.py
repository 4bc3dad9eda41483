"""Repairs of lost quotes: changes of a spec by which its claims are found in the document again."""

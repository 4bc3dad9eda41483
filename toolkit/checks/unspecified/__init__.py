"""Checks of a document that nobody has written a spec for: what its own words and the fact tables settle.

Each is a function from a scanned document to remarks. It stays silent where a statement may be true under any reading
that the document admits: both meanings of GB, the rounding of every printed digit, hedges, cards of one name.
"""

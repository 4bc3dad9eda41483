"""The quantities that a document can claim: one file each."""

"""Specs and verdicts as plain files: annotated documents, guides, model cards and an index for a static site."""

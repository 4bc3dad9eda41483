"""Measurements: a setting run on a real GPU, one process each. Only what runs in that process needs torch."""

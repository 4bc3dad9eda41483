"""Traces of the runs of published readings, with the releases that their records state: kept, and compared."""

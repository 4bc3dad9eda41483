"""Traces of published runs, made with the releases that their records state, and compared with the readings."""

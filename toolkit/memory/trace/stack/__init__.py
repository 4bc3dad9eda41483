"""Traces with other releases of the libraries than this environment has: a virtual environment for each stack."""

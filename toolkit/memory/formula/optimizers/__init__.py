"""Optimizers: their states, and what a step needs."""

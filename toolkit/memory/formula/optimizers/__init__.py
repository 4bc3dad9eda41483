"""Optimizers: what they keep from step to step, and what a step needs."""

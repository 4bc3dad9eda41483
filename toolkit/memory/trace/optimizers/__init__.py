"""Optimizers on meta tensors, by the code of their libraries."""

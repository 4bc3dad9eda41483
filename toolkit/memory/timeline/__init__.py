"""Timelines of allocations and releases, and how they grow with layers, batch and length."""

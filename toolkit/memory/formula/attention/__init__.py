"""Attention: projections, rotary embedding, and the kernels that attend."""

"""Mixtures of experts: routers, experts and the kernels that run them."""

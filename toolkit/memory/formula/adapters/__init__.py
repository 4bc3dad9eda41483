"""Adapters of linear layers, as run by peft and by trainers' own kernels."""

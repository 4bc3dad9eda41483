"""Layers that mix tokens without attention: convolutions, delta rules, state spaces."""

"""Makes documented GPU memory numbers tested things."""

__version__ = "0.1.0"

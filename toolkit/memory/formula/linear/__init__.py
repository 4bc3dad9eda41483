"""Linear layers: how their weights are stored, and what their products allocate."""

"""Linear layers, and how their weights are stored and multiplied by."""

"""What was allocated and released, in order, and how it grows with layers, batch and length."""

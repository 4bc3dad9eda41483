"""The ends of a model: heads, logits, losses, and what a training loop keeps of them."""

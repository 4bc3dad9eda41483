"""The ends of a model: heads, logits, losses, and what a loop keeps of them."""

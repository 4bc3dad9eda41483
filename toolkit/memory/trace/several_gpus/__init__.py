"""A model on several GPUs, as the first of them holds it."""

"""CUDA's caching allocator, replayed, and the card that it runs on."""

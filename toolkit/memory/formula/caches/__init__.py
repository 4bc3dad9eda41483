"""The caches of keys and values in generation."""

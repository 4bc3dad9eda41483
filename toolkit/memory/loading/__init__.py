"""What loading a model leaves in blocks of the allocator, loader by loader."""

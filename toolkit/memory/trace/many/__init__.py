"""Many traces: of all layers from a few, of many sizes from one set, of many settings."""

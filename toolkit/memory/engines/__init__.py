"""Engines that claim memory when they are set up: vLLM, by its own limits, storage and loading."""

"""Layers and ends of families that are not built like LLaMA's."""

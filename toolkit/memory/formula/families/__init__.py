"""Layers and ends of families that differ from LLaMA's."""

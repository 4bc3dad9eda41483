"""Scenarios from the configuration files of other training tools."""

from __future__ import annotations

TOOLS = ("trl", "transformers", "axolotl", "llamafactory", "torchtune")
"""The tools whose files are read (toolkit.spec.training_configs.read)."""
